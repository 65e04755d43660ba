import itertools

import pytest

from search_space.cost import count
from search_space.space import SearchSpace

STAGE = "op: mbconv, expand: 3, kernel: 3"
SMALL = f"""
format: nas-space/1
name: small
reference:
  resolution: 33
  classes: 7
  stem: 8
  head: 16
  stages:
  - {{{STAGE}, stride: 1, channels: 8, layers: 1}}
  - {{{STAGE}, stride: 2, channels: 12, layers: 2}}
  - {{{STAGE}, stride: 1, channels: 24, layers: 1}}
network:
  resolution: [33, 34]
  stem: [8, 12]
  head: [16, 20]
  activation: [relu, silu]
choices:
  op: [conv, mbconv2]
  channels: {{times: [0.5, 1]}}
  se: {{choices: [0.5, 0.55], when: {{op: [mbconv2]}}}}
  skip: [none, identity]
blocks:
  block2: {{layers: [1, 2], op: [mbconv2], channels: [12]}}
"""


def everything(space: SearchSpace) -> list[tuple[str, int]]:
    """Key and MACs of every proposal."""
    tokens = itertools.product(*(range(len(decision.choices)) for decision in space.decisions))
    networks = (space.decode(choice) for choice in tokens)
    return [(network.key, count(network).macs) for network in networks]


def test_against_enumeration() -> None:
    space = SearchSpace.from_yaml(SMALL)
    found = everything(space)
    assert space.networks() == len({key for key, _ in found})
    assert space.macs_range() == (min(macs for _, macs in found), max(macs for _, macs in found))


CIFAR = f"""
format: nas-space/1
name: cifar
reference:
  resolution: 9
  classes: 5
  stem: 8
  stages:
  - {{{STAGE}, stride: 1, channels: 8}}
  - {{{STAGE}, stride: 2, channels: 16}}
  - {{{STAGE}, stride: 1, channels: 16}}
network: {{stem_stride: [1, 2]}}
choices: {{op: [linear, mbconv3], kernel: [3, 5]}}
blocks:
  block2: {{stride: [1, 2], se: [0.0, 0.25]}}
  block3: {{layers: [0, 1]}}
"""


def test_strides_and_blocks_that_may_be_left_out_against_enumeration() -> None:
    space = SearchSpace.from_yaml(CIFAR)
    found = everything(space)
    assert space.macs_range() == (min(macs for _, macs in found), max(macs for _, macs in found))
    # Linear or a kernel of two; and squeeze-excite or not, and a stride; left out, or three more.
    assert space.size == len({key for key, _ in found}) == 2 * 3 * (2 * (1 + 2 * 2)) * (1 + 3)
    assert space.networks() is None  # the last block may be left out: its end does not show


def test_no_number_where_blocks_run_into_each_other() -> None:
    # Two stages of stride 1 and equal channels: 1 + 2 layers and 2 + 1 layers are one network.
    stages = f"[{{{STAGE}, channels: 8}}, {{{STAGE}, channels: 8}}]"
    space = SearchSpace.from_yaml(
        f"format: nas-space/1\nname: s\nreference: {{stem: 8, stages: {stages}}}\nchoices: {{layers: [1, 2]}}"
    )
    assert len({key for key, _ in everything(space)}) == 3
    assert space.networks() is None


@pytest.mark.parametrize(
    ("name", "size", "networks", "macs"),
    [
        ("accel-nasbench", 36**6 * 48, 104_485_552_128, (51_594_768, 884_060_256)),
        ("mnasnet", 192 * 288 * 432**4 * 288, 198_579_389_183_557_632, (46_027_192, 1_669_104_736)),
        ("efficientnet", 435_619_746_846_756_864, 155_962_625_414_270_976, (46_027_192, 1_599_812_096)),
    ],
)
def test_installed_spaces(name: str, size: int, networks: int, macs: tuple[int, int]) -> None:
    space = SearchSpace.load(name)
    assert space.macs_range() == macs
    assert (space.size, space.networks()) == (size, networks)
