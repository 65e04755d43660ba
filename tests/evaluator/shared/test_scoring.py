import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from evaluator.data.dataset import Images
from evaluator.shared.network import SharedNetwork
from evaluator.shared.scoring import SCORED, SharedScorer, hold_out
from evaluator.training import EXPLOSION
from search_space.builder import build_model
from search_space.uniform import UniformNetworks
from tests.spaces import SMALL

DATA = Images(
    torch.randint(256, (100, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    torch.arange(100) % 4,
)
SHARED = SharedNetwork(SMALL, width=1.0, unstrided=0, resolution=8, classes=4)


def weights(sets: int = 1) -> torch.Tensor:
    noise = torch.randn(sets, SHARED.size, generator=torch.Generator().manual_seed(1))
    return SHARED.initial(torch.Generator().manual_seed(0)) + 0.1 * noise


def test_the_loss_is_that_of_the_network_alone() -> None:
    scored = torch.arange(0, 100, 3)
    found = SharedScorer(SHARED, weights(), DATA, scored)
    alone = build_model(SHARED.measured(SMALL.reference))
    with torch.no_grad():
        for theirs, ours in zip(
            alone.parameters(), found._sets[0].paths.network(SMALL.reference).parameters(), strict=True
        ):
            theirs.copy_(ours)
    pixels = DATA.images.double()
    normal = (pixels - pixels.mean((0, 2, 3), keepdim=True)) / pixels.std((0, 2, 3), keepdim=True)
    with torch.no_grad():
        expected = float(functional.cross_entropy(alone.double()(normal[scored]), DATA.labels[scored]))
    assert found.losses([SMALL.reference]) == [pytest.approx(expected, rel=1e-5)]


def test_what_was_scored_before_makes_no_difference() -> None:
    uniform, generator = UniformNetworks(SMALL), np.random.default_rng(0)
    networks = [uniform.draw(generator) for _ in range(20)]
    scored = torch.arange(50)
    together = SharedScorer(SHARED, weights(), DATA, scored).losses(networks)
    assert together == [SharedScorer(SHARED, weights(), DATA, scored).losses([network])[0] for network in networks]
    assert len(set(together)) > 10


def test_what_networks_begin_with_is_computed_once() -> None:
    scorer = SharedScorer(SHARED, weights(), DATA, torch.arange(50))
    uniform, generator = UniformNetworks(SMALL), np.random.default_rng(0)
    networks = list({(network := uniform.draw(generator)).key: network for _ in range(500)}.values())
    calls: list[object] = []
    chains = [list(scorer._sets[0].paths.network(network)) for network in networks]
    for part in {part for chain in chains for part in chain}:
        part.register_forward_hook(lambda part, *_: calls.append(part))
    scorer.losses(networks)
    beginnings = {tuple(map(id, chain[: i + 1])) for chain in chains for i in range(len(chain))}
    assert len(calls) == len(beginnings) < sum(map(len, chains))


def test_the_mean_over_sets_each_on_its_own_images() -> None:
    uniform, generator = UniformNetworks(SMALL), np.random.default_rng(0)
    networks = [uniform.draw(generator) for _ in range(5)]
    scored, three = torch.arange(50), weights(3)
    each = [SharedScorer(SHARED, three[i : i + 1], DATA, scored[i::3]).losses(networks) for i in range(3)]
    assert SharedScorer(SHARED, three, DATA, scored).losses(networks) == pytest.approx(np.mean(each, 0))
    three[1] = math.nan
    broken = SharedScorer(SHARED, three, DATA, scored).losses(networks)
    assert broken == pytest.approx(np.mean([each[0], [EXPLOSION * math.log(4)] * 5, each[2]], 0))


def test_more_sets_than_images_share_them() -> None:
    losses = SharedScorer(SHARED, weights(8), DATA, torch.arange(6)).losses([SMALL.reference])
    assert 0 < losses[0] < EXPLOSION * math.log(4) / 8  # not one set is as bad as can be


def test_broken_weights_are_as_bad_as_can_be() -> None:
    worst = EXPLOSION * math.log(4)
    for factor in (math.nan, 1e30):
        scorer = SharedScorer(SHARED, weights() * factor, DATA, torch.arange(50))
        assert scorer.losses([SMALL.reference]) == [worst]


def test_what_is_held_out() -> None:
    train, scored = hold_out(DATA.labels, 0)
    assert (len(train), len(scored)) == (76, 24)
    assert not set(train.tolist()) & set(scored.tolist())
    many = torch.arange(10_000) % 4
    assert len(hold_out(many, 0)[1]) == SCORED
