from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from typing import Any

import pytest

from nas.grid.coefficients import PAPER
from nas.grid.enumeration import Bounds, enumerate_grid, fit_resolution, realise
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.scaling import compound
from tests.nas.grid.test_coefficients import PLAIN

B0 = Architecture.load("efficientnet-b0")
MACS = 385_814_752


def bounds(**changes: Any) -> Bounds:
    defaults: dict[str, Any] = {"target": 2.0, "phi": 1.0, "step": 0.05, "tolerance": 0.1}
    return Bounds(**{**defaults, "constraint": "realised", "band": 0.05, **changes})


def test_the_papers_grid_on_realised_networks() -> None:
    grid = enumerate_grid(B0, bounds(constraint="nominal"))
    assert len(grid.triples) == 108
    assert len(grid.networks) == 65
    ratios = [candidate.ratio for candidate in grid.candidates]
    assert (round(min(ratios), 2), round(max(ratios), 2)) == (1.93, 3.33)
    assert grid.candidates == grid.networks
    assert PAPER in grid.triples


def test_the_same_triples_by_exact_fractions() -> None:
    """1.9 / 1 / 1 lies on the very bound; it builds the network of 1.85 / 1 / 1, so no network hangs on it."""
    values = [1 + Fraction(i, 20) for i in range(21)]
    exact = {
        tuple(float(value) for value in triple)
        for triple in itertools.product(values, repeat=3)
        if abs(triple[0] * triple[1] ** 2 * triple[2] ** 2 - 2) <= Fraction(1, 10)
    }
    ours = {dataclasses.astuple(triple) for triple in enumerate_grid(B0, bounds()).triples}
    assert exact - ours == {(1.9, 1.0, 1.0)}
    assert ours < exact
    assert compound(B0, 1.9, 1, 1, 1) == compound(B0, 1.85, 1, 1, 1)


def test_merged_triples_build_the_network_that_stands_for_them() -> None:
    grid = enumerate_grid(B0, bounds(constraint="nominal"))
    assert sum(len(candidate.triples) for candidate in grid.candidates) == 108
    for candidate in grid.candidates:
        assert candidate.coefficients in candidate.triples
        for triple in candidate.triples:
            assert compound(B0, triple.alpha, triple.beta, triple.gamma, 1) == candidate.architecture
        assert candidate.ratio == count(candidate.architecture).macs / MACS


@pytest.mark.parametrize("baseline", [B0, Architecture.load("mnasnet-a1"), PLAIN], ids=["b0", "a1", "plain"])
def test_realised_candidates_cost_the_same_and_their_triples_build_them(baseline: Architecture) -> None:
    grid = enumerate_grid(baseline, bounds(band=0.08))
    assert len(grid.candidates) > 5
    assert len({candidate.architecture.key for candidate in grid.candidates}) == len(grid.candidates)
    for candidate in grid.candidates:
        assert abs(count(candidate.architecture).macs / count(baseline).macs / 2 - 1) <= 0.08
        assert candidate.architecture.resolution >= baseline.resolution
        assert candidate.coefficients.scale(baseline, 1) == candidate.architecture


def test_the_triple_nearest_to_a_right_product_stands_for_its_network() -> None:
    grid = enumerate_grid(B0, bounds())
    paper = realise(B0, PAPER, bounds())
    (candidate,) = [c for c in grid.candidates if c.architecture == paper]
    assert {triple.alpha for triple in candidate.triples} == {1.05, 1.1, 1.15, 1.2, 1.25}
    assert candidate.coefficients.alpha == 1.25
    assert candidate.coefficients.beta == 1.1
    assert candidate.architecture.resolution == 225  # instead of 258, which costs 2.57 times the baseline


@pytest.mark.parametrize("target", [1.3e8, 5e8, 9.9e8, 2.2e9])
def test_the_fitted_resolution_is_the_best_of_all(target: float) -> None:
    network = compound(B0, 1.2, 1.1, 1.15, 1)
    fitted = fit_resolution(network, round(target), 100)
    costs = {r: abs(count(dataclasses.replace(network, resolution=r)).macs - target) for r in range(100, 500)}
    assert costs[fitted.resolution] == min(costs.values())


def test_another_phi_and_another_target() -> None:
    half = enumerate_grid(B0, bounds(phi=0.5, target=2**0.5, band=0.1, constraint="nominal"))
    assert half.triples == enumerate_grid(B0, bounds()).triples
    larger = enumerate_grid(B0, bounds(target=3.0))
    assert all(2.85 <= candidate.ratio <= 3.15 for candidate in larger.candidates)


def test_nothing_satisfies_the_band() -> None:
    with pytest.raises(
        InputError, match=r"--band 1e-06: .* the nearest .* costs 1\.999 times: raise --band to 0\.001$"
    ):
        enumerate_grid(B0, bounds(band=1e-6))
    assert enumerate_grid(B0, bounds(band=0.001)).candidates


def test_nothing_satisfies_the_tolerance() -> None:
    message = r"--tolerance 0\.001: no triple on a grid of step 0\.3 .*: raise --tolerance to 0\.101, or lower --step"
    with pytest.raises(InputError, match=message):
        enumerate_grid(B0, bounds(step=0.3, tolerance=0.001))
    assert enumerate_grid(B0, bounds(step=0.3, tolerance=0.101, band=0.2)).triples


def test_triples_beyond_what_can_be_built_are_left_out() -> None:
    deep = enumerate_grid(B0, bounds(phi=5.0, target=32.0))  # 1.95^5 would be more than 100 layers a stage
    assert max(triple.alpha for triple in deep.triples) == 1.9
    large = enumerate_grid(B0, bounds(target=12.0, step=0.5, tolerance=1.0))
    assert all(1 <= base <= 10 for t in large.triples for base in (t.alpha, t.beta, t.gamma))
    assert large.candidates
    small = dataclasses.replace(
        B0, stem=8, stages=tuple(dataclasses.replace(s, channels=8, se=0.0) for s in B0.stages), head=0, resolution=64
    )
    far = enumerate_grid(small, bounds(phi=0.5, target=1.05 * 9.9))  # some would need a gamma above 10
    assert far.candidates
    assert all(candidate.coefficients.gamma <= 10 for candidate in far.candidates)
