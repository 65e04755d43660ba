import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import canonical, sample_tokens
from search_space.errors import InputError, NasError
from search_space.io import named
from search_space.space import SearchSpace, find_space

SPACES = {name: SearchSpace.load(name) for name in ("efficientnet", "mnasnet", "accel-nasbench")}
NETWORKS = {name: Architecture.load(name) for name in ("efficientnet-b0", "mnasnet-a1", "mnasnet-b1")}
EFFICIENTNET, MNASNET, ACCEL = SPACES.values()
B0, A1, B1 = NETWORKS.values()
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_default_space_contains_the_published_networks(network: Architecture) -> None:
    assert EFFICIENTNET.contains(network)
    assert EFFICIENTNET.missing(network) == []
    assert EFFICIENTNET.decode(EFFICIENTNET.encode(network)).key == network.key


def test_the_published_space_does_not() -> None:
    assert MNASNET.missing(dataclasses.replace(B0, activation="relu")) == [
        "block5.channels: 112 is not among 72, 96, 120",
        "block6.channels: 192 is not among 120, 160, 200",
    ]
    assert MNASNET.missing(A1) == ["block5.channels: 112 is not among 72, 96, 120"]
    assert MNASNET.missing(B1) == ["block6.channels: 192 is not among 120, 160, 200"]
    with pytest.raises(InputError, match=r"not in the space mnasnet: activation: silu is not among relu; block5.chan"):
        MNASNET.encode(B0)
    assert not MNASNET.contains(B0)


def test_the_paper_has_432_choices_a_block() -> None:
    # Where no two choices round to the same: blocks 3 to 6 keep all of 4 * 2 * 2 * 3 * 3 * 3.
    assert [block.size for block in MNASNET.blocks] == [192, 288, 432, 432, 432, 432, 288]


@every_space
@given(seed=st.integers(0, 2**32))
def test_round_trip_by_key(space: SearchSpace, seed: int) -> None:
    tokens = sample_tokens(space.decisions, np.random.default_rng(seed))
    network = space.decode(tokens)
    again = space.encode(network)
    assert space.decode(again).key == network.key
    assert canonical(space.decisions, again) == again
    assert space.contains(network)
    assert space.missing(network) == []


def test_membership_is_by_what_is_built() -> None:
    split = [dataclasses.replace(B0.stages[4], layers=layers) for layers in (1, 2)]
    network = dataclasses.replace(B0, stages=(*B0.stages[:4], *split, *B0.stages[5:]))
    assert network.key == B0.key
    assert EFFICIENTNET.encode(network) == EFFICIENTNET.encode(B0)
    assert EFFICIENTNET.contains(
        dataclasses.replace(B0, stages=(*B0.stages[:6], dataclasses.replace(B0.stages[6], skip="pool")))
    )


def test_missing_names_everything() -> None:
    wrong = dataclasses.replace(B0.stages[2], kernel=7, expand=4)
    network = dataclasses.replace(
        B0, stem=40, resolution=240, activation="relu6", stages=(*B0.stages[:2], wrong, *B0.stages[3:])
    )
    assert EFFICIENTNET.missing(network) == [
        "resolution: 240 is not among 224",
        "stem: 40 is not among 32",
        "activation: relu6 is not among silu, relu",
        "block3.op: mbconv4 is not among conv, mbconv1, mbconv3, mbconv6",
        "block3.kernel: 7 is not among 3, 5",
    ]
    assert EFFICIENTNET.missing(dataclasses.replace(B0, stages=B0.stages[:5])) == ["blocks: 5 is not 7"]
    first = dataclasses.replace(A1.stages[0], op="conv", se=0.25)
    conv_se = dataclasses.replace(A1, stages=(first, *A1.stages[1:]))
    assert EFFICIENTNET.missing(conv_se) == [
        "block1.se: 0.25 is not among 0.0 (decided only where op is mbconv1 or mbconv3 or mbconv6)"
    ]


@every_space
def test_every_missing_network_says_why(space: SearchSpace) -> None:
    generator = np.random.default_rng(0)
    for other in SPACES.values():
        for _ in range(20):
            network = other.sample(generator)
            assert bool(space.missing(network)) is not space.contains(network)


def test_decode_rejects_what_is_no_proposal() -> None:
    tokens = EFFICIENTNET.encode(B0)
    with pytest.raises(ValueError, match="expected 43 tokens, got 42"):
        EFFICIENTNET.decode(tokens[1:])
    with pytest.raises(ValueError, match=r"activation: token must be 0 to 1, got 2"):
        EFFICIENTNET.decode((2, *tokens[1:]))
    with pytest.raises(ValueError, match=r"block7\.skip: token must be 0 to 2, got -1"):
        EFFICIENTNET.decode((*tokens[:-1], -1))
    assert EFFICIENTNET.decode(np.array(tokens)) == EFFICIENTNET.decode(list(tokens))


def test_tokens_that_do_not_apply_change_nothing() -> None:
    free = [0] * 43
    other = list(free)
    for index, decision in enumerate(EFFICIENTNET.decisions):
        if decision.requires:
            other[index] = 1
    assert EFFICIENTNET.decode(free) == EFFICIENTNET.decode(other)
    assert canonical(EFFICIENTNET.decisions, other) == tuple(free)


@every_space
def test_a_single_choice_is_not_asked(space: SearchSpace) -> None:
    assert all(len(decision.choices) > 1 for decision in space.decisions)
    assert len({decision.name for decision in space.decisions}) == len(space.decisions)


def test_fixed_fields_of_the_benchmark_space() -> None:
    network = ACCEL.sample(np.random.default_rng(0))
    assert [stage.channels for stage in network.stages] == [16, 24, 40, 80, 112, 192, 320]
    assert (network.resolution, network.stem, network.head, network.activation) == (224, 32, 1280, "silu")
    assert [d.choices for d in ACCEL.decisions if d.name.endswith("layers")][5] == ("1", "2", "3", "4")


OPTIONAL = """
format: nas-space/1
name: optional
reference: efficientnet-b0
network: {stem_stride: [1, 2]}
choices: {op: [linear, mbconv6], layers: {plus: [0, 1]}}
blocks:
  block1: {op: [mbconv1]}
  block5: {layers: [0, 3], stride: [1, 2]}
  block7: {layers: [0, 1, 2]}
"""


def test_blocks_that_may_be_left_out() -> None:
    space = SearchSpace.from_yaml(OPTIONAL)
    without = dataclasses.replace(B0, stages=(*B0.stages[:4], B0.stages[5]), stem_stride=1)
    assert space.contains(without)
    assert not space.contains(dataclasses.replace(B0, stages=(*B0.stages[:5], B0.stages[6])))
    generator = np.random.default_rng(0)
    lengths = set()
    for _ in range(50):
        network = space.sample(generator)
        lengths.add(len(network.stages))
        assert space.decode(space.encode(network)).key == network.key
    assert lengths == {5, 6, 7}
    names = [decision.name for decision in space.decisions]
    layers = names.index("block5.layers")
    for name in ("block5.op", "block5.stride"):
        assert space.decisions[names.index(name)].requires == ((layers, frozenset({1})),)
    assert space.missing(dataclasses.replace(B0, stages=B0.stages[:4])) == ["blocks: 4 is not 5 to 7"]
    assert space.missing(dataclasses.replace(without, stages=B0.stages[1:])) == [
        "blocks: these are not offered together"
    ]


def test_samples_in_a_band() -> None:
    generator = np.random.default_rng(0)
    macs = [count(EFFICIENTNET.sample(generator, (380_000_000, 450_000_000))).macs for _ in range(30)]
    assert all(380_000_000 <= value <= 450_000_000 for value in macs)
    assert len(set(macs)) > 25


def test_a_band_that_is_hardly_ever_hit_ends_with_the_count() -> None:
    with pytest.raises(
        NasError, match="none of 50 samples of the space efficientnet has 46,027,192 to 46,027,192 MACs"
    ):
        EFFICIENTNET.sample(np.random.default_rng(0), (46_027_192, 46_027_192), max_tries=50)


@pytest.mark.parametrize(
    ("band", "message"),
    [
        ((1, 2), "1 to 2 MACs is outside the space efficientnet: 46,027,192 to 1,599,812,096"),
        ((2_000_000_000, 3_000_000_000), "2,000,000,000 to 3,000,000,000 MACs is outside"),
        ((400_000_000, 300_000_000), "runs from low to high, got 400,000,000 to 300,000,000"),
    ],
)
def test_bad_bands(band: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EFFICIENTNET.sample(np.random.default_rng(0), band)


def test_targets() -> None:
    low, high = EFFICIENTNET.macs_range()
    for target in (low, 400_000_000, high):
        EFFICIENTNET.check_target(target)
    for target in (low - 1, high + 1):
        with pytest.raises(InputError, match=f"{target:,} MACs is outside the space efficientnet: {low:,} to {high:,}"):
            EFFICIENTNET.check_target(target)


@every_space
def test_distribution(space: SearchSpace) -> None:
    macs = space.sample_macs(np.random.default_rng(0), 200)
    low, high = space.macs_range()
    assert macs == sorted(macs)
    assert low <= macs[0] < macs[-1] <= high
    assert macs == space.sample_macs(np.random.default_rng(0), 200)


def test_load(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown search space 'efficentnet' \(did you mean 'efficientnet'\?\)"):
        SearchSpace.load("efficentnet")
    path = tmp_path / "own.yaml"
    path.write_text("format: nas-space/1\nname: own\nreference: efficientnet-b0\n")
    space = SearchSpace.load(path)
    assert (space.name, space.decisions, space.size, space.networks()) == ("own", (), 1, 1)
    assert space.sample(np.random.default_rng(0)) == B0 == space.decode(())
    assert space.macs_range() == (count(B0).macs, count(B0).macs)


def test_a_space_by_name_or_of_ones_own() -> None:
    assert find_space("mnasnet").decisions == MNASNET.decisions
    assert find_space("tests.search_space.test_space:EFFICIENTNET").name == EFFICIENTNET.name
    with pytest.raises(InputError, match="search_space has no 'NONE'"):
        find_space("search_space:NONE")
    with pytest.raises(InputError, match="unknown search space 'nowhere'"):
        find_space("nowhere")


def test_no_torch_is_loaded() -> None:
    code = "import sys, search_space.space; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


MIXED = """
format: nas-space/1
name: mixed
reference: resnet-18
choices:
  op: [basic, bottleneck4, mbconv6]
  kernel: [3, 5]
  se: {choices: [0.0, 0.25], when: {op: [mbconv6]}}
  layers: {plus: [-1, 0]}
blocks:
  block1: {op: [basic], channels: {times: [0.5, 1]}}
"""


def test_a_space_may_mix_the_layers_of_resnets_and_mobilenets() -> None:
    space, generator = SearchSpace.from_yaml(MIXED), np.random.default_rng(0)
    assert space.contains(Architecture.load("resnet-18"))
    samples = [space.sample(generator) for _ in range(50)]
    assert {stage.op for network in samples for stage in network.stages} == {"basic", "bottleneck", "mbconv"}
    low, high = space.macs_range()
    for network in samples:
        assert space.decode(space.encode(network)) == network
        assert Architecture.from_yaml(network.to_yaml()) == network
        assert low <= count(network).macs <= high
        assert (network.head, network.stem_kernel, network.stem_pool) == (0, 7, True)
    assert "block2.op: bottleneck8 is not among basic, bottleneck4, mbconv6" in space.missing(
        dataclasses.replace(
            space.reference,
            stages=tuple(dataclasses.replace(s, op="bottleneck", expand=8) for s in space.reference.stages),
        )
    )


def test_a_text_is_read_once_and_a_changed_file_again(tmp_path: Path) -> None:
    assert SearchSpace.load("efficientnet") is SearchSpace.load("efficientnet")
    path = tmp_path / "mine.yaml"
    text = named.read_config("search space", "spaces", "efficientnet")[0]
    path.write_text(text)
    before = SearchSpace.load(path)
    path.write_text(text.replace("name: efficientnet", "name: mine"))
    assert (before.name, SearchSpace.load(path).name) == ("efficientnet", "mine")
