import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.scaling import EFFICIENTNETS, compound, efficientnet, round_filters, round_repeats, scale

B0 = Architecture.load("efficientnet-b0")


@pytest.mark.parametrize(
    ("name", "macs", "params", "resolution", "dropout"),
    [
        ("b0", 385_814_752, 5_288_548, 224, 0.2),
        ("b1", 686_802_832, 7_794_184, 240, 0.2),
        ("b2", 993_561_872, 9_109_994, 260, 0.3),
        ("b3", 1_827_141_392, 12_233_232, 300, 0.3),
        ("b4", 4_393_771_024, 19_341_616, 380, 0.4),
        ("b5", 10_266_384_752, 30_389_784, 456, 0.4),
        ("b6", 19_067_593_536, 43_040_704, 528, 0.5),
        ("b7", 37_745_884_192, 66_347_960, 600, 0.5),
        ("b8", 62_597_461_568, 87_413_142, 672, 0.5),
    ],
)
def test_the_released_family(name: str, macs: int, params: int, resolution: int, dropout: float) -> None:
    network = efficientnet(name, B0)
    cost = count(network)
    assert (cost.macs, cost.params) == (macs, params)
    assert (network.resolution, network.dropout) == (resolution, dropout)


def test_stages_of_the_family() -> None:
    assert efficientnet("b0", B0) == B0
    b7 = efficientnet("b7", B0)
    assert (b7.stem, b7.head) == (64, 2560)
    assert [stage.channels for stage in b7.stages] == [32, 48, 80, 160, 224, 384, 640]
    assert [stage.layers for stage in b7.stages] == [4, 7, 7, 10, 10, 13, 4]


def test_unknown_member() -> None:
    with pytest.raises(InputError, match="unknown family member 'b9': known are b0, b1"):
        efficientnet("b9", B0)


@pytest.mark.parametrize(
    ("channels", "width", "rounded"),
    [
        (96, 1.2, 112),
        (160, 1.2, 192),
        (96, 1.25, 120),
        (24, 0.75, 24),
        (16, 0.75, 16),
        (32, 1.0, 32),
        (1, 2, 8),
        (12, 1, 12),
        (40, 0.5, 24),
    ],
)
def test_round_filters(channels: int, width: float, rounded: int) -> None:
    assert round_filters(channels, width) == rounded


@given(st.integers(1, 5000), st.floats(0.1, 10).filter(lambda width: width != 1))
def test_rounding_loses_no_more_than_a_tenth(channels: int, width: float) -> None:
    rounded = round_filters(channels, width)
    assert rounded % 8 == 0
    assert rounded >= 0.9 * channels * width
    assert rounded <= max(8, channels * width + 8)


def test_round_repeats() -> None:
    assert [round_repeats(layers, 1.2) for layers in (1, 2, 3, 4)] == [2, 3, 4, 5]
    assert round_repeats(4, 1.0) == 4


def test_compound_of_the_paper() -> None:
    scaled = compound(B0, alpha=1.2, beta=1.1, gamma=1.15, phi=1)
    assert scaled == scale(B0, width=1.1, depth=1.2, resolution=258)
    assert math.isclose(count(scaled).macs / count(B0).macs, 2.57, abs_tol=0.005)
    assert compound(B0, 1.2, 1.1, 1.15, 0) == B0


def test_scaling_keeps_what_it_does_not_name() -> None:
    odd = dataclasses.replace(B0, classes=10, activation="relu", dropout=0.3)
    scaled = scale(odd, 2, 2, 100)
    assert (scaled.classes, scaled.activation, scaled.dropout, scaled.resolution) == (10, "relu", 0.3, 100)
    assert [stage.kernel for stage in scaled.stages] == [stage.kernel for stage in B0.stages]
    assert scale(odd, 1, 1, 100, dropout=0.5).dropout == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 224), "width must be a positive number, got 0"),
        ((1, -1, 224), "depth must be a positive number, got -1"),
        ((float("nan"), 1, 224), "width must be"),
        ((1, float("inf"), 224), "depth must be"),
        ((1, 1, 0), "resolution must be a whole number from 1"),
        ((1000, 1, 224), "channels must be .* got 112000"),
    ],
)
def test_bad_factors(arguments: tuple[float, float, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scale(B0, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.9, 1, 1, 1), "alpha must be a number of at least 1, got 0.9"),
        ((1, 0.9, 1, 1), "beta must be"),
        ((1, 1, float("nan"), 1), "gamma must be"),
        ((1, 1, 1, float("inf")), "phi must be a number, got inf"),
        ((1, 1, 1.3, -8), "phi -8: leaves images of 27 pixels, where the strides of the network need 32 or more"),
    ],
)
def test_bad_bases(arguments: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compound(B0, *arguments)


def test_the_table_has_all_members() -> None:
    assert list(EFFICIENTNETS) == [f"b{i}" for i in range(9)]


def test_width_1_and_phi_0_change_nothing_where_channels_are_no_multiple_of_8() -> None:
    odd = dataclasses.replace(
        B0, stem=20, head=1001, stages=tuple(dataclasses.replace(s, channels=s.channels + 3) for s in B0.stages)
    )
    assert scale(odd, 1.0, 1.0, odd.resolution) == odd
    assert compound(odd, 1.2, 1.1, 1.15, 0) == odd
    assert compound(odd, 1.2, 1.0, 1.15, 1).stages[2].channels == odd.stages[2].channels


def test_an_image_smaller_than_its_strides_does_not_shrink() -> None:
    small = dataclasses.replace(B0, resolution=16)
    assert compound(small, 1.2, 1.1, 1, -2).resolution == 16
    with pytest.raises(InputError, match=r"phi -2: leaves images of 12 pixels, where .* need 16 or more"):
        compound(small, 1.2, 1.1, 1.15, -2)


def test_shrinking_adds_no_channels_where_they_are_no_multiple_of_8() -> None:
    odd = dataclasses.replace(
        B0, stem=4, head=1001, stages=tuple(dataclasses.replace(s, channels=s.channels + 3) for s in B0.stages)
    )
    less = compound(odd, 1.2, 1.01, 1.15, -1)
    assert [s.channels for s in less.stages] == [19, 27, 40, 80, 112, 192, 320]
    assert (less.stem, less.head) == (4, 992)


@pytest.mark.parametrize("name", ["resnet-18", "resnet-50", "mobilenet-v2"])
def test_other_networks_scale_both_ways(name: str) -> None:
    network = Architecture.load(name)
    costs = [count(compound(network, 1.2, 1.1, 1.15, phi / 2)).macs for phi in range(-6, 15)]
    assert costs == sorted(costs)
    assert costs[6] == count(network).macs
    larger = compound(network, 1.2, 1.1, 1.15, 1)
    assert (larger.head == 0) == (network.head == 0)
    assert [stage.skip for stage in larger.stages] == [stage.skip for stage in network.stages]


def test_every_stage_stays_however_far_a_network_shrinks() -> None:
    least = compound(B0, 1.2, 1.1, 1, -40)
    assert [stage.layers for stage in least.stages] == [1] * 7
    assert {least.stem, *(stage.channels for stage in least.stages)} == {8}
