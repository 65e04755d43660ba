import dataclasses
import itertools

import pytest

from search_space.architecture import Stage
from search_space.block import Block, Question, built_layers, settings_of, value_of

REFERENCE = Stage(op="mbconv", expand=6, kernel=3, stride=2, channels=24, layers=2, se=0.25)
BLOCK = Block(
    "block2",
    REFERENCE,
    [
        Question(field="op", values=("conv", "mbconv1", "mbconv6")),
        Question(field="kernel", values=(5,)),
        Question(field="layers", values=(1, 2)),
        Question(field="se", values=(0.0, 0.5), when=(("op", ("mbconv1", "mbconv6")),)),
    ],
)


def test_questions_asked() -> None:
    op, layers, se = BLOCK.decisions(10)
    assert (op.name, op.choices, op.requires) == ("block2.op", ("conv", "mbconv1", "mbconv6"), ())
    assert (layers.name, layers.choices) == ("block2.layers", ("1", "2"))
    assert (se.name, se.requires) == ("block2.se", ((10, frozenset({1, 2})),))


def test_stages() -> None:
    def stage(**values: object) -> Stage:
        return Stage(**{"kernel": 5, "stride": 2, "channels": 24, **values})  # type: ignore[arg-type]

    # where the condition does not hold, the reference's value does
    assert BLOCK.stage((0, 0, 1)) == stage(op="conv", layers=1, se=0.25)
    assert BLOCK.stage((1, 1, 0)) == stage(op="mbconv", expand=1, layers=2, se=0.0)
    assert BLOCK.stage((2, 1, 1)) == stage(op="mbconv", expand=6, layers=2, se=0.5)
    assert BLOCK.stage((2, 1, 1)) is BLOCK.stage((2, 1, 1))
    with pytest.raises(ValueError, match=r"block2\.op: token must be 0 to 2, got 3"):
        BLOCK.stage((3, 0, 0))


def test_all_tokens_are_distinct_and_canonical() -> None:
    tokens = list(BLOCK.all_tokens())
    expected = [t for t in itertools.product(range(3), range(2), range(2)) if t[0] or not t[2]]
    assert tokens == expected
    assert BLOCK.size == 2 + 2 * 2 * 2


def test_conditions_settled_in_advance() -> None:
    never = Block("b", REFERENCE, [Question(field="se", values=(0.0, 0.5), when=(("op", ("conv",)),))])
    assert never.decisions(0) == ()
    assert never.stage(()).se == 0.25
    always = Block("b", REFERENCE, [Question(field="se", values=(0.0, 0.5), when=(("op", ("mbconv6",)),))])
    assert always.decisions(0)[0].requires == ()
    assert always.stage((1,)).se == 0.5
    single = Block(
        "b",
        REFERENCE,
        [
            Question(field="op", values=("conv", "mbconv6")),
            Question(field="se", values=(0.5,), when=(("op", ("mbconv6",)),)),
        ],
    )
    assert [single.stage((token,)).se for token in (0, 1)] == [0.25, 0.5]


def test_by_layers_joins_what_builds_the_same() -> None:
    # int(2 * 0.5) and int(2 * 0.7) are both 1
    block = Block("b", REFERENCE, [Question(field="se", values=(0.5, 0.7)), Question(field="layers", values=(1, 3))])
    assert len(block.by_layers(2)) == 3  # one layer: equal squeezes; three layers: 12 and 16 differ
    for layers, tokens in block.by_layers(2).items():
        assert built_layers(block.stage(tokens), 2) == layers
    assert block.depths() == (1, 3)
    conditional = Question(field="layers", values=(1, 3), when=(("op", ("conv",)),))
    assert Block("b", REFERENCE, [conditional]).depths() == (1, 2, 3)


def stage(**changes: object) -> Stage:
    values = {"op": "mbconv", "expand": 6, "kernel": 5, "stride": 2, "channels": 24, "layers": 2, "se": 0.5}
    return Stage(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (stage(), []),
        (stage(layers=1, skip="none"), []),
        (stage(layers=1, skip="pool"), []),
        (stage(se=0.51), []),  # squeezes to the same widths
        (stage(se=0.6), ["block2.se: 0.6 is not among 0.0, 0.5"]),
        (stage(skip="none"), ["block2.skip: none is not among identity"]),
        (stage(stride=1), ["block2.stride: 1 is not among 2"]),
        (
            stage(kernel=3, expand=4, channels=32),
            [
                "block2.op: mbconv4 is not among conv, mbconv1, mbconv6",
                "block2.kernel: 3 is not among 5",
                "block2.channels: 32 is not among 24",
            ],
        ),
        (
            stage(op="conv", expand=1, se=0.5),
            ["block2.se: 0.5 is not among 0.25 (decided only where op is mbconv1 or mbconv6)"],
        ),
    ],
)
def test_missing_names_each_value(wanted: Stage, lines: list[str]) -> None:
    assert BLOCK.missing(wanted, 16) == lines


def test_operators_are_spelled_with_their_expansion() -> None:
    assert settings_of("op", "mbconv6") == {"op": "mbconv", "expand": 6}
    assert settings_of("op", "conv") == {"op": "conv", "expand": 1}
    assert settings_of("kernel", 5) == {"kernel": 5}
    assert value_of("op", REFERENCE) == "mbconv6"
    assert value_of("se", REFERENCE) == 0.25


def test_a_linear_layer_decides_neither_kernel_nor_squeeze_excite() -> None:
    block = Block(
        "b",
        REFERENCE,
        [
            Question(field="op", values=("mbconv6", "linear")),
            Question(field="kernel", values=(3, 5)),
            Question(field="se", values=(0.0, 0.5), when=(("op", ("mbconv6", "linear")),)),
        ],
    )
    assert block.size == 2 * 2 + 1
    assert [decision.requires for decision in block.decisions(4)] == [(), *[((4, frozenset({0})),)] * 2]
    linear = Stage(op="linear", kernel=1, stride=2, channels=24, layers=2)
    assert block.stage((1, 0, 0)) == linear
    assert block.missing(linear, 16) == []
    assert BLOCK.missing(linear, 16) == [
        "block2.op: linear is not among conv, mbconv1, mbconv6",
        "block2.kernel: 1 is not among 5",
    ]


def test_a_block_that_is_left_out_decides_nothing_else() -> None:
    block = Block("b", REFERENCE, [Question(field="op", values=("conv", "mbconv6")), layers(0, 2)])
    assert [decision.name for decision in block.decisions(0)] == ["b.layers", "b.op"]
    assert block.stage((0, 0)) is None
    assert block.size == 1 + 2
    assert (block.optional, block.strides(), block.depths()) == (True, (1, 2), (0, 2))
    assert block.by_layers(8)[()] == (0, 0)
    never = Block("b", REFERENCE, [Question(field="op", values=("conv", "mbconv6")), layers(0)])
    assert never.decisions(0) == ()
    assert never.stage(()) is None


def layers(*values: int) -> Question:
    return Question(field="layers", values=values)


def test_strides_are_asked() -> None:
    block = Block("b", REFERENCE, [Question(field="stride", values=(1, 2))])
    assert [block.stage((token,)) for token in (0, 1)] == [dataclasses.replace(REFERENCE, stride=s) for s in (1, 2)]
    assert block.missing(stage(stride=1, kernel=3, se=0.25), 16) == []


@pytest.mark.parametrize("choice", ["conv", "basic", "mbconv6", "bottleneck4", "bottleneck16"])
def test_an_operator_is_spelled_with_its_expansion(choice: str) -> None:
    made = dataclasses.replace(REFERENCE, **settings_of("op", choice))
    assert value_of("op", made) == choice
