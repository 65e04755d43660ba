import dataclasses
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.fitting import (
    Deployment,
    at_no_fewer,
    at_no_more,
    fit,
    fit_width,
    on_fewer_pixels,
    strides_to_spare,
    width_of,
    with_fewer_strides,
)
from search_space.space import SearchSpace

EFFICIENTNET = SearchSpace.load("efficientnet")
V2 = EFFICIENTNET.reference


def at(resolution: int, target: str | float | None = None, classes: int = 10) -> SearchSpace:
    macs = None if target is None else int(float(target))
    return fit(EFFICIENTNET, Deployment(resolution=resolution, classes=classes, target_macs=macs))


def strides(space: SearchSpace) -> list[str]:
    return [decision.name for decision in space.decisions if decision.name.endswith("stride")]


@pytest.mark.parametrize("name", ["efficientnet", "mnasnet", "accel-nasbench"])
def test_nothing_changes_at_the_papers_size(name: str) -> None:
    space = SearchSpace.load(name)
    for deployment in (Deployment(), Deployment(resolution=224, classes=1000, target_macs=400_000_000)):
        fitted = fit(space, deployment)
        assert fitted.decisions == space.decisions
        assert (fitted.reference, fitted.size) == (space.reference, space.size)


def test_published_networks_stay_inside_for_other_classes() -> None:
    space = at(224, 4e8)
    for name in ("efficientnet-b0", "mnasnet-a1", "mnasnet-b1"):
        assert space.contains(dataclasses.replace(Architecture.load(name), classes=10))


@example(16, 500_000, 10)
@example(16, 4_000_000_000, 1000)
@example(600, 4_000_000_000, 1000)
@example(600, 500_000, 2)
@example(28, 3_000_000, 10)
@settings(max_examples=6, deadline=None)
@given(st.integers(16, 600), st.integers(500_000, 4_000_000_000), st.integers(2, 1000))
def test_any_target_gives_a_space_or_the_range(resolution: int, target: int, classes: int) -> None:
    try:
        space = at(resolution, target, classes)
    except InputError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        wanted = (
            rf"{target:,} MACs is outside the space efficientnet at {resolution} pixels and \d+ classes: \S+ to \S+"
        )
        assert re.fullmatch(wanted, refused)
        return
    low, high = space.macs_range()
    assert low <= target <= high
    network = space.sample(np.random.default_rng(0))
    assert (network.resolution, network.classes) == (resolution, classes)


def test_the_target_stands_to_the_reference_as_in_the_paper() -> None:
    space = at(224, 5e7)
    assert abs(5e7 / count(space.reference).macs / (4 / 3) - 1) < 0.15
    macs = space.sample_macs(np.random.default_rng(0), 300)
    assert np.mean([2.5e7 <= value <= 7.5e7 for value in macs]) > 0.6


@pytest.mark.parametrize(
    ("resolution", "spare", "asked"),
    [
        (224, 0, []),
        (96, 0, []),
        (64, 1, ["stem_stride", "block2.stride", "block3.stride"]),
        (32, 2, ["stem_stride", "block2.stride", "block3.stride", "block4.stride"]),
        (28, 2, ["stem_stride", "block2.stride", "block3.stride", "block4.stride"]),
        (16, 3, ["stem_stride", "block2.stride", "block3.stride", "block4.stride", "block6.stride"]),
    ],
)
def test_strides_are_decisions_where_images_are_small(resolution: int, spare: int, asked: list[str]) -> None:
    assert strides_to_spare(dataclasses.replace(V2, resolution=resolution)) == spare
    space = at(resolution)
    assert strides(space) == asked
    assert space.reference.total_stride == 32 // 2**spare
    assert width_of(space.reference, V2) == 1


def test_the_budget_decides_how_many_strides_the_reference_gives_up() -> None:
    def given_up(target: float) -> tuple[int, ...]:
        reference = at(32, target).reference
        return (reference.stem_stride, *(reference.stages[i].stride for i in (1, 2, 3, 5)))

    assert given_up(1e8) == (1, 1, 2, 2, 2)
    assert given_up(1e7) == (2, 1, 1, 2, 2)  # the stem's would leave 8 channels in most layers
    assert given_up(3e6) == (2, 1, 2, 2, 2)


def test_strides_that_the_space_decides_stay() -> None:
    text = "format: nas-space/1\nname: own\nreference: efficientnet-b0\nblocks: {block2: {stride: [1, 2]}}"
    own = SearchSpace.from_yaml(text)
    assert strides(fit(own, Deployment(resolution=32))) == ["block2.stride"]
    with pytest.raises(InputError, match=r"resolution 8: the strides of the space own divide .* by 16 or more"):
        fit(own, Deployment(resolution=8))


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        (Deployment(resolution=7), "resolution must be a whole number from 8 to 1024, got 7"),
        (Deployment(resolution=1025), "resolution must be a whole number from 8 to 1024, got 1025"),
        (Deployment(classes=0), "classes must be a whole number from 1"),
        (
            Deployment(target_macs=1_000_000),
            "outside the space efficientnet at 224 pixels and 1000 classes: 5.242M",
        ),
    ],
)
def test_what_is_not_possible(deployment: Deployment, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(EFFICIENTNET, deployment)


def test_a_space_of_few_networks_is_brought_to_the_target_itself() -> None:
    narrow = SearchSpace.from_yaml(
        "format: nas-space/1\nname: narrow\nreference: efficientnet-b0\nchoices: {layers: {plus: [-1, 0]}}"
    )
    for target in (200_000_000, 400_000_000):
        low, high = fit(narrow, Deployment(target_macs=target)).macs_range()
        assert low <= target <= high < 1.5 * target
    text = "format: nas-space/1\nname: one\nreference: efficientnet-b0"
    with pytest.raises(InputError, match=r"400,000,000 MACs is outside the space one .*: (\S+) to \1"):
        fit(SearchSpace.from_yaml(text), Deployment(target_macs=400_000_000))


def test_a_space_that_decides_the_resolution() -> None:
    text = "format: nas-space/1\nname: own\nreference: efficientnet-b0\nnetwork: {resolution: [192, 224]}"
    own = SearchSpace.from_yaml(text)
    assert fit(own, Deployment(classes=10)).decisions == own.decisions
    with pytest.raises(InputError, match="resolution 96: the space own decides the resolution itself"):
        fit(own, Deployment(resolution=96))


def test_width_for_a_cost() -> None:
    for macs in (30_000_000, 300_000_000, 3_000_000_000):
        assert abs(count(fit_width(V2, macs)).macs / macs - 1) < 0.1
    assert fit_width(V2, 1).stem == 8


@pytest.mark.parametrize("name", ["efficientnet-b0", "mobilenet-v2", "mnasnet-a1"])
def test_a_known_network_at_no_fewer_multiply_adds(name: str) -> None:
    known = Architecture.load(name)
    own = count(known).macs
    assert at_no_fewer(known, own) == at_no_fewer(known, int(0.96 * own)) == known
    for macs in (own + 1, int(0.94 * own), own // 4, 3 * own):
        fitted = at_no_fewer(known, macs)
        assert 1 <= count(fitted).macs / macs < 1.15
        assert fitted != known


def test_a_known_network_gives_up_strides_where_images_are_small() -> None:
    b0 = dataclasses.replace(Architecture.load("efficientnet-b0"), classes=10)
    assert with_fewer_strides(dataclasses.replace(b0, resolution=224), 200_000_000) is None
    small = dataclasses.replace(b0, resolution=32)
    for macs, stride in ((3_000_000, 16), (200_000_000, 8)):
        fewer = with_fewer_strides(small, macs)
        assert fewer is not None
        assert fewer.total_stride == stride
        assert count(fewer).macs >= macs
        assert [stage.layers for stage in fewer.stages] == [stage.layers for stage in b0.stages]
    assert with_fewer_strides(small, 500_000) is None  # the budget affords no more pixels


def test_a_network_is_brought_below_a_budget() -> None:
    b0 = dataclasses.replace(Architecture.load("efficientnet-b0"), classes=10)
    own = count(b0).macs
    assert at_no_more(b0, own) == b0
    assert at_no_more(b0, round(own * 1.04)) == b0  # little is left
    for macs in (200_000_000, own - 1, 2 * own):
        fitted = at_no_more(b0, macs)
        assert fitted is not None
        assert 0.85 < count(fitted).macs / macs <= 1
    assert at_no_more(b0, 1000) is None
    assert on_fewer_pixels(b0, own) == b0
    smaller = on_fewer_pixels(b0, own // 2)
    assert smaller is not None
    assert dataclasses.replace(smaller, resolution=224) == b0
    assert count(smaller).macs <= own // 2 < count(dataclasses.replace(smaller, resolution=smaller.resolution + 1)).macs
    assert on_fewer_pixels(b0, 1000) is None


def test_the_same_space_is_fitted_once() -> None:
    space = SearchSpace.load("efficientnet")
    small, again = (fit(space, Deployment(resolution=32, classes=10, target_macs=10**7)) for _ in range(2))
    assert small is again
    assert fit(space, Deployment(resolution=32, classes=10, target_macs=2 * 10**7)) is not small
