from __future__ import annotations

import itertools

import pytest

from nas.grid.coefficients import PAPER
from nas.grid.ways import BASELINE, NEAR, WAYS, scale_all, settle
from search_space.architecture import Architecture, Stage
from search_space.cost import count
from search_space.errors import InputError

SMALL = Architecture(
    resolution=28,
    classes=10,
    stem=16,
    stem_stride=1,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, channels=8),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=16, layers=2),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=24, layers=2),
    ),
    head=64,
)
NETWORKS = {"small": SMALL, **{name: Architecture.load(name) for name in ("efficientnet-b0", "resnet-18")}}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_really_costs_the_same(name: str) -> None:
    """The paper's own factors cost 1.450B to 1.800B; here no two networks of a target differ by 3 %."""
    baseline, ratios = NETWORKS[name], (2, 4, 8)
    compared = scale_all(baseline, list(WAYS), ratios)
    assert compared.candidates[0].architecture == baseline
    assert [(s.way, s.aim) for s in compared.candidates[1:]] == [(way, ratio) for ratio in ratios for way in WAYS]
    for ratio in ratios:
        costs = [count(scaled.architecture).macs for scaled in compared.at(ratio).values()]
        assert max(costs) / min(costs) < 1.03
        for scaled, cost in zip(compared.at(ratio).values(), costs, strict=True):
            assert scaled.ratio == cost / count(baseline).macs
            assert abs(scaled.ratio / ratio - 1) <= NEAR


def test_a_way_keeps_its_own_dimension() -> None:
    b0 = NETWORKS["efficientnet-b0"]
    found = {scaled.name: scaled for scaled in scale_all(b0, list(WAYS), [2]).candidates}
    assert list(found) == [BASELINE, "depth-2", "width-2", "resolution-2", "compound-2"]
    depth, width, resolution, compound = (found[f"{way}-2"].architecture for way in WAYS)
    layers = [tuple(stage.layers for stage in n.stages) for n in (b0, depth, width, resolution)]
    assert layers[1] == tuple(2 * n for n in layers[0])
    assert layers[2] == layers[3] == layers[0]
    channels = [tuple(stage.channels for stage in n.stages) for n in (b0, depth, width, resolution)]
    assert channels[1] == channels[3] == channels[0]
    assert all(wide > own for wide, own in zip(channels[2], channels[0], strict=True))
    assert (depth.resolution, width.resolution) == (224, 224)
    assert resolution.resolution > compound.resolution > 224
    assert compound == PAPER.scale(b0, PAPER.phi_at(b0, 2 * count(b0).macs))
    assert all(scaled.adjusted == "" for scaled in found.values())


def test_what_steps_leave_open_the_image_or_the_channels_make_up() -> None:
    b0 = NETWORKS["efficientnet-b0"]
    near, how = settle(b0, 2 * count(b0).macs)
    assert how == f"224 to {near.resolution} px"
    assert near.resolution > 224
    assert near.stages == b0.stages
    coarse, how = settle(SMALL, round(1.07 * count(SMALL).macs))
    assert "channels x1.0" in how
    assert abs(count(coarse).macs / (1.07 * count(SMALL).macs) - 1) <= NEAR
    assert settle(SMALL, count(SMALL).macs) == (SMALL, "")
    with pytest.raises(InputError, match=r"the nearest network's MACs are .*% away, 1.45% are allowed"):
        settle(SMALL, 1)


def test_a_target_that_a_way_does_not_reach_is_named() -> None:
    with pytest.raises(InputError, match=r"^depth at 1000 times the cost: target_flops .*: from phi"):
        scale_all(SMALL, ["depth"], [1000])


def test_networks_of_larger_targets_follow() -> None:
    two = scale_all(SMALL, list(WAYS), [2])
    three = scale_all(SMALL, list(WAYS), [2, 4])
    assert three.candidates[: len(two.candidates)] == two.candidates
    ratios = [min(s.ratio for s in three.at(ratio).values()) for ratio in (1.0, 2, 4)]
    assert all(a < b for a, b in itertools.pairwise(ratios))
