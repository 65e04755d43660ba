import dataclasses
from collections import Counter

import numpy as np
import pytest

from search_space.cost import count
from search_space.errors import NasError
from search_space.space import SearchSpace
from search_space.uniform import UniformNetworks
from tests.spaces import EVERY_DECISION, SMALL

MERGING = SearchSpace.from_yaml(
    """
format: nas-space/1
name: merging
reference:
  resolution: 8
  classes: 4
  stem: 8
  head: 16
  stages:
  - {op: mbconv, expand: 3, kernel: 3, channels: 8}
  - {op: mbconv, expand: 3, kernel: 3, channels: 8}
blocks:
  block1: {channels: [8, 16], layers: [0, 1, 2]}
  block2: {layers: [1, 2]}
"""
)
"""Two blocks whose layers may be mistaken for each other's: one layer and one is none and two."""


def test_every_network_is_as_likely() -> None:
    keys = {MERGING.decode(tokens).key for tokens in np.ndindex(*(len(d.choices) for d in MERGING.decisions))}
    uniform, generator = UniformNetworks(MERGING), np.random.default_rng(0)
    drawn = Counter(uniform.draw(generator).key for _ in range(200 * len(keys)))
    assert drawn.keys() == keys
    chi_square = sum((number - 200) ** 2 / 200 for number in drawn.values())
    assert chi_square < len(keys) + 4 * (2 * len(keys)) ** 0.5
    by_decision = Counter(MERGING.sample(generator).key for _ in range(200 * len(keys)))
    assert max(by_decision.values()) > 1.5 * max(drawn.values())


def test_all_that_is_decided_is_drawn() -> None:
    uniform, generator = UniformNetworks(EVERY_DECISION), np.random.default_rng(0)
    drawn = [uniform.draw(generator) for _ in range(200)]
    for field, values in EVERY_DECISION.network.items():
        assert {getattr(network, field) for network in drawn} == set(values)
    stages = [stage for network in drawn for stage in network.stages]
    everything = [
        stage for block in EVERY_DECISION.blocks for tokens in block.all_tokens() if (stage := block.stage(tokens))
    ]
    for field in ("op", "expand", "kernel", "layers", "se", "skip", "stride"):
        assert {getattr(stage, field) for stage in stages} == {getattr(stage, field) for stage in everything}


def test_the_band_is_kept() -> None:
    low, high = SMALL.macs_range()
    band = (low, (low + high) // 2)
    uniform, generator = UniformNetworks(SMALL, band), np.random.default_rng(0)
    assert all(band[0] <= count(uniform.draw(generator)).macs <= band[1] for _ in range(50))


def test_an_empty_band_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_space.uniform.MAX_TRIES", 20)
    with pytest.raises(NasError, match=r"none of 20 networks of the space small has \(1, 2\) MACs"):
        UniformNetworks(SMALL, (1, 2)).draw(np.random.default_rng(0))


def test_the_seed_decides() -> None:
    drawn = [UniformNetworks(SMALL).draw(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert dataclasses.astuple(drawn[0]) != dataclasses.astuple(drawn[2])
