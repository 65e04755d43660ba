import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.architecture import Architecture, Stage
from search_space.errors import InputError
from search_space.timm_strings import parse_block_strings, to_block_strings

B0 = [  # as timm has them
    "ds_r1_k3_s1_e1_c16_se0.25",
    "ir_r2_k3_s2_e6_c24_se0.25",
    "ir_r2_k5_s2_e6_c40_se0.25",
    "ir_r3_k3_s2_e6_c80_se0.25",
    "ir_r3_k5_s1_e6_c112_se0.25",
    "ir_r4_k5_s2_e6_c192_se0.25",
    "ir_r1_k3_s1_e6_c320_se0.25",
]


def stage(**changes: object) -> Stage:
    values: dict[str, object] = {"op": "mbconv", "expand": 6, "kernel": 3, "channels": 32, "layers": 2}
    return Stage(**{**values, **changes})  # type: ignore[arg-type]


def network(*stages: Stage) -> Architecture:
    return Architecture(stem=32, stages=stages)


def test_b0_reads_as_in_timm() -> None:
    b0 = Architecture.load("efficientnet-b0")
    assert to_block_strings(b0) == B0
    assert dataclasses.replace(b0, stages=parse_block_strings(B0)).key == b0.key


def test_a1_and_its_missing_skip() -> None:
    assert to_block_strings(Architecture.load("mnasnet-a1"))[0] == "ds_r1_k3_s1_e1_c16_noskip"


STAGES = st.builds(
    Stage,
    op=st.just("mbconv"),
    expand=st.sampled_from([1, 3, 6]),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    channels=st.integers(1, 12).map(lambda n: 8 * n),
    layers=st.integers(1, 4),
    se=st.sampled_from([0.0, 0.25, 0.5]),
    skip=st.sampled_from(["identity", "none"]),
) | st.builds(
    Stage,
    op=st.just("conv"),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    channels=st.integers(1, 200),
    layers=st.integers(1, 4),
    skip=st.sampled_from(["identity", "none"]),
)


@given(st.lists(STAGES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(stages: list[Stage]) -> None:
    wanted = network(*stages)
    try:
        strings = to_block_strings(wanted)
    except InputError:
        return  # widths that timm rounds; the cases are below
    assert network(*parse_block_strings(strings)).key == wanted.key


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (stage(skip="pool"), "block 2: skip pool: timm has no pooled shortcut"),
        (stage(op="linear", expand=1, kernel=1), "block 2: linear: timm has no 1x1 convolution without"),
        (stage(op="conv", expand=1, se=0.25), "block 2: se 0.25 on a plain convolution"),
        (stage(channels=20, expand=3), "block 2: 60 expanded channels: timm rounds them"),
        (stage(channels=22, expand=1, se=0.25), "block 2: squeeze-excite width 5: timm rounds 22 \\* 0.25"),
    ],
)
def test_what_timm_cannot_say_names_the_block(second: Stage, words: str) -> None:
    with pytest.raises(InputError, match=words):
        to_block_strings(network(stage(channels=32), second))


def test_the_stem_of_timm_strides() -> None:
    with pytest.raises(InputError, match="cannot say the stem: its stride is 1, timm's is 2"):
        to_block_strings(dataclasses.replace(network(stage()), stem_stride=1))


def test_a_pool_that_never_takes_effect_is_no_obstacle() -> None:
    assert to_block_strings(network(stage(skip="pool", channels=64, layers=1))) == ["ir_r1_k3_s1_e6_c64_noskip"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("er_r1_k3_s1_e4_c24", "block type 'er' cannot be read"),
        ("ir_r1_k3_s1_e6_c24_cc4", "'cc4' cannot be read"),
        ("ir_r1_k3_s1_c24", "'e' is missing"),
        ("ds_r1_k3_s1", "'c' is missing"),
        ("ir_r1_k3_s1_e1_c24", "e1 of ir has an expansion convolution"),
        ("ds_r1_k3_s1_e6_c24", "e6 of ds"),
        ("cn_r1_k3_s1_c24_se0.25", "cn has neither se"),
        ("ir_r1_k3.5_s1_e6_c24", "k3.5: must be a whole number"),
        ("ir_r1_k4_s1_e6_c24", "kernel must be 3, 5 or 7"),
        ("ir_r1_r2_k3_s1_e6_c24", "'r' stands twice"),
        ("ir_r1_k3_s1_e6_c24_nre", "'nre' cannot be read"),
        ("", "block type ''"),
        ("ir_r1_k3_s1_e6_c9999999999999999999", "c9999999999999999999: must be a whole number"),
    ],
)
def test_what_cannot_be_read_names_the_block(text: str, words: str) -> None:
    with pytest.raises(InputError, match="block 2, ") as caught:
        parse_block_strings([B0[0], text], "silu")
    assert words in str(caught.value)


@given(st.text(alphabet="irdscn_0123456789.ekp-", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        outcome = parse_block_strings([text])
    except InputError as error:
        outcome = str(error)
    assert outcome.startswith("block 1, ") if isinstance(outcome, str) else isinstance(outcome[0], Stage)


def test_timm_has_no_strings_for_resnets() -> None:
    with pytest.raises(InputError, match=r"the stem or head: .*block 1: basic: timm's strings have no such block"):
        to_block_strings(Architecture.load("resnet-18"))
    projected = dataclasses.replace(
        Architecture.load("mobilenet-v2"), stages=(Stage(op="mbconv", kernel=3, channels=8, skip="project"),)
    )
    with pytest.raises(InputError, match="block 1: skip project: timm has no shortcut with a convolution"):
        to_block_strings(projected)
