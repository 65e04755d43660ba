from pathlib import Path

import pytest

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.space import SearchSpace
from search_space.space_format import read_space

BASE = "format: nas-space/1\nname: s\nreference: efficientnet-b0\n"


LINEAR = "format: nas-space/1\nname: s\nreference: {stages: [{op: linear, kernel: 1, channels: 8}]}\n"


def choices(text: str, field: str) -> tuple[str, ...]:
    space = SearchSpace(read_space(BASE + text, "f"))
    return next((d.choices for d in space.decisions if d.name == f"block3.{field}"), ())


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("choices: {kernel: [3, 5]}", "kernel", ("3", "5")),
        ("choices: {kernel: {choices: [3, 5]}}", "kernel", ("3", "5")),
        ("choices: {kernel: [7]}", "kernel", ()),
        ("choices: {kernel: [3]}\nblocks: {block3: {kernel: [7, 5]}}", "kernel", ("7", "5")),
        ("choices: {kernel: [3, 5]}\nblocks: {block3: {kernel: [3]}}", "kernel", ()),
        ("choices: {op: [conv, mbconv1, mbconv12]}", "op", ("conv", "mbconv1", "mbconv12")),
        ("choices: {op: [linear, mbconv1]}", "op", ("linear", "mbconv1")),
        ("blocks: {block3: {layers: [0, 2]}}", "layers", ("0", "2")),
        ("choices: {stride: [1, 2]}", "stride", ("1", "2")),
        ("choices: {channels: {times: [0.5, 1, 2]}}", "channels", ("24", "40", "80")),
        ("choices: {channels: {times: [1, 1.01]}}", "channels", ()),
        ("choices: {channels: [41, 42]}", "channels", ("41", "42")),
        ("choices: {layers: {plus: [-2, -1, 0, 1]}}", "layers", ("1", "2", "3")),
        ("choices: {se: [0, 0.25]}", "se", ("0.0", "0.25")),
        ("choices: {skip: [none, pool]}", "skip", ("none", "pool")),
        ("choices: {se: {choices: [0, 0.5], when: {op: [conv]}}}", "se", ()),
    ],
)
def test_spellings(text: str, field: str, expected: tuple[str, ...]) -> None:
    assert choices(text, field) == expected


def test_reference_written_out() -> None:
    stage = "{op: conv, kernel: 3, channels: 8}"
    parts = read_space(f"format: nas-space/1\nname: s\nreference: {{stem: 8, stages: [{stage}]}}", "f")
    assert parts.reference.stem == 8
    assert len(parts.blocks) == 1
    assert parts.document.description == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: not a search space: format must be nas-space/1, got None"),
        ("[]", "not a search space"),
        ("format: nas-space/2", "format must be nas-space/1, got 'nas-space/2'"),
        ("format: nas-space/1\nreference: efficientnet-b0", "f: missing key 'name'"),
        ("format: nas-space/1\nname: a", "missing key 'reference'"),
        (BASE.replace("name: s", "name: ../s"), "f: name: must be letters, .* got '../s'"),
        (BASE.replace("name: s", "name: 3"), "f: name: expected text, got 3"),
        (BASE.replace("efficientnet-b0", "b9"), "f.reference: unknown architecture 'b9'"),
        (BASE.replace("efficientnet-b0", "{stem: 8}"), "f.reference: missing key 'stages'"),
        (BASE.replace("efficientnet-b0", "[1]"), "f.reference: expected a mapping"),
        (BASE + "name: t", "f, line 4: duplicate key 'name'"),
        (BASE + "choice: {}", r"unknown key 'choice' \(did you mean 'choices'\?\)"),
        (BASE + "choices: [1]", "choices: expected a mapping"),
        (BASE + "choices: {kernal: [3]}", r"f.choices.kernal: unknown key 'kernal' \(known: op, kernel"),
        (BASE + "choices: {kernel: [3, 4]}", "f.choices.kernel: kernel must be 3, 5 or 7, got 4"),
        (BASE + "choices: {kernel: ['3']}", "f.choices.kernel: kernel must be 3, 5 or 7, got '3'"),
        (BASE + "choices: {kernel: [[3]]}", r"kernel must be .* got \[3\]"),
        (BASE + "choices: {kernel: 3}", "f.choices.kernel: expected a mapping of choices, times, plus, when, got 3"),
        (BASE + "choices: {kernel: []}", "f.choices.kernel: needs a list of one value or more"),
        (BASE + "choices: {kernel: {}}", "exactly one of choices, times, plus"),
        (BASE + "choices: {kernel: [3, 3]}", "f.choices.kernel: the same value twice in 3, 3"),
        (BASE + "choices: {se: [0, 0.0]}", "f.choices.se: the same value twice"),
        (BASE + "choices: {op: [mbconv0]}", "expand must be a whole number from 1 to 64, got 0"),
        (BASE + "choices: {op: [mbconv]}", "f.choices.op: must be conv, linear, basic, or mbconv.* got 'mbconv'"),
        (BASE + "choices: {op: [mbconv06]}", "got 'mbconv06'"),
        (BASE + "choices: {op: [6]}", "got 6"),
        (BASE + "choices: {layers: [0, 1]}", "f: every block may have 0 layers; one at least must stay"),
        (BASE + "choices: {layers: {choices: [0, 1], when: {op: [conv]}}}", "layers: 0 layers cannot be under a cond"),
        (BASE + "choices: {layers: [-1]}", "layers must be a whole number from 1 to 100, got -1"),
        (BASE + "choices: {stride: [3]}", "f.choices.stride: stride must be 1 or 2, got 3"),
        (BASE + "network: {stem_stride: [4]}", "f.network.stem_stride: stem_stride must be 1 or 2, got 4"),
        (LINEAR + "choices: {op: [linear, mbconv3]}", "f.choices.op: kernel must be 3, 5 or 7, got 1"),
        (BASE + "choices: {channels: {times: [1], plus: [1]}}", "exactly one of"),
        (BASE + "choices: {layers: {times: [1]}}", "f.choices.layers: times is for channels only"),
        (BASE + "choices: {channels: {plus: [1]}}", "f.choices.channels: plus is for layers only"),
        (BASE + "choices: {channels: {times: [0]}}", "f.choices.channels.times: must be above 0, got 0.0"),
        (BASE + "choices: {channels: {times: [100000]}}", "channels must be a whole number from 1 to 100000"),
        (BASE + "choices: {layers: {plus: [200]}}", "layers must be a whole number from 1 to 100, got 20"),
        (BASE + "choices: {skip: {choices: [none, pool], if: {}}}", "f.choices.skip: unknown key 'if'"),
        (
            BASE + "choices: {op: {choices: [conv], when: {se: [0]}}}",
            "f.choices.op.when: 'se' is not decided before op",
        ),
        (
            BASE + "choices: {se: {choices: [0], when: {op: [convo]}}}",
            "f.choices.se.when: must be conv, linear, basic, or mbconv",
        ),
        (BASE + "choices: {se: {choices: [0], when: {op: conv}}}", "when.op: expected a list, got 'conv'"),
        (
            BASE + "choices: {se: {choices: [0], when: {op: [conv]}}, skip: {choices: [pool], when: {se: [0]}}}",
            "f: block1.skip: its condition se is itself conditional",
        ),
        (BASE + "blocks: {block8: {}}", r"f.blocks: unknown key 'block8' \(known: block1, .*block7\)"),
        (BASE + "blocks: {block7: {kernel: [4]}}", "f.blocks.block7.kernel: kernel must be 3, 5 or 7, got 4"),
        (BASE + "blocks: {block7: [3]}", "blocks.block7: expected a mapping"),
        (BASE + "network: {activation: [gelu]}", "f.network.activation: activation must be relu, relu6 or silu"),
        (BASE + "network: {activation: silu}", "network.activation: expected a list, got 'silu'"),
        (BASE + "network: {activation: []}", "f.network.activation: needs a list of one value or more"),
        (BASE + "network: {classes: [10, 20]}", r"f.network: unknown key 'classes' \(known: resolution, stem"),
        (BASE + "network: {stem: [32, 32]}", "f.network.stem: the same value twice"),
        (BASE + "choices: {op: !!set {conv}}", "tags"),
        ("[" * 10_000_000, "at most 500,000"),
    ],
)
def test_bad_spaces_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_space(text, "f")
    assert "\n" not in str(caught.value)


def test_documented_example_reads() -> None:
    page = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text()
    lines = page[page.index("    format: nas-space/1") :].splitlines()
    example = "\n".join(line[4:] for line in lines[: lines.index("")])
    space = SearchSpace.from_yaml(example)
    assert space.contains(Architecture.load("efficientnet-b0"))
    assert {d.name: d.choices for d in space.decisions}["block6.kernel"] == ("5", "7")
