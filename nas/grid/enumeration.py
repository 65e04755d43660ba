"""The grid of compound coefficients, judged on the networks it really builds.

EfficientNet (arXiv:1905.11946, section 3.3) demands alpha * beta^2 * gamma^2 ~ 2. But layers are rounded up and
channels to multiples of 8: many triples build the same network, and B0's true costs at a product of 2 +- 0.1 run from
1.93 to 3.33 times the baseline's. So candidates are networks; by default their resolution is fitted to the target.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nas.grid.coefficients import MOST_BASE, Coefficients
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError

Constraint = Literal["realised", "nominal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Which triples are on the grid and which networks are compared."""

    target: float
    """What the network at phi costs over what the baseline costs."""
    phi: float
    """The compound coefficient at which networks are built and compared."""
    step: float
    """Distance of neighbouring coefficients; they start at 1."""
    tolerance: float
    """Largest distance of a triple's product from the target's share of one phi."""
    constraint: Constraint
    """``nominal``: every triple's network, whatever it costs; ``realised``: as many true MACs, within the band."""
    band: float
    """Largest relative distance of a true cost from the target, where the constraint is ``realised``."""

    @property
    def product(self) -> float:
        """The product of a triple that reaches the target at phi, before rounding: 2 in the paper."""
        return float(self.target ** (1 / self.phi))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One network to compare, and the triples that build it."""

    coefficients: Coefficients
    """The triple that stands for it; its gamma is that of the fitted resolution."""
    architecture: Architecture
    ratio: float
    """True MACs over the baseline's."""
    triples: tuple[Coefficients, ...]
    """All triples of the grid that build it (up to resolution, where that is fitted)."""
    adjusted: str = ""
    """What brought its cost to the target beside the triple's own steps; empty where nothing had to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What came of an enumeration."""

    triples: tuple[Coefficients, ...]
    networks: tuple[Candidate, ...]
    """The distinct networks of the triples, before any constraint on true cost."""
    candidates: tuple[Candidate, ...]
    """The networks to compare, in the order of their triples."""
    checks: tuple[Candidate, ...] = ()
    """All of them again at the first larger phi that is checked, then at the next."""

    @property
    def networks_to_train(self) -> tuple[Candidate, ...]:
        """By the numbers that proposals give them."""
        return (*self.candidates, *self.checks)


def enumerate_grid(baseline: Architecture, bounds: Bounds) -> Grid:
    """All triples, the networks they build, and those that satisfy the constraint.

    Raises:
        InputError: Nothing satisfies it (the line says which bound to move), or no network can be built.
    """
    triples = _buildable(_triples(bounds), baseline, bounds.phi)
    scaled = ((triple, triple.scale(baseline, bounds.phi)) for triple in triples)
    networks = _merge(scaled, baseline, bounds, fitted=False)
    if bounds.constraint == "nominal":
        return Grid(triples=triples, networks=networks, candidates=networks)
    realised = ((triple, realise(baseline, triple, bounds)) for triple in triples)
    fitted = _merge(realised, baseline, bounds, fitted=True)
    candidates = tuple(c for c in fitted if abs(c.ratio / bounds.target - 1) <= bounds.band)
    if not fitted:
        raise InputError(f"--phi {bounds.phi:g}: every network needs a gamma above {MOST_BASE}: raise it")
    if not candidates:
        nearest = min(fitted, key=lambda c: abs(c.ratio / bounds.target - 1))
        away = abs(nearest.ratio / bounds.target - 1)
        raise InputError(
            f"--band {bounds.band:g}: no network of the grid costs {bounds.target:.3g} times the baseline within "
            f"{bounds.band:.2%}; the nearest ({nearest.coefficients}) costs {nearest.ratio:.3f} times: "
            f"raise --band to {away + 0.001:.3f}"
        )
    return Grid(triples=triples, networks=networks, candidates=candidates)


def realise(baseline: Architecture, triple: Coefficients, bounds: Bounds) -> Architecture:
    """The network that stands for a triple under the constraint."""
    network = triple.scale(baseline, bounds.phi)
    if bounds.constraint == "nominal":
        return network
    return fit_resolution(network, round(bounds.target * count(baseline).macs), baseline.resolution)


def fit_resolution(network: Architecture, macs: int, least: int) -> Architecture:
    """The network at a resolution, `least` or more, at which its MACs are as near to `macs` as they get.

    Several resolutions cost the same, as strides round up; the one that borders on the other side of `macs` is taken.
    """

    def cost(resolution: int) -> int:
        return count(dataclasses.replace(network, resolution=resolution)).macs

    most = max(least + 1, min(8 * least, 10_000))
    above = least + bisect.bisect_left(range(least, most), macs, key=cost)
    nearest = min(range(max(least, above - 1), above + 1), key=lambda resolution: abs(cost(resolution) - macs))
    return dataclasses.replace(network, resolution=nearest)


def _buildable(triples: tuple[Coefficients, ...], baseline: Architecture, phi: float) -> tuple[Coefficients, ...]:
    """Without those whose network is beyond what an architecture may be."""
    found, problem = [], None
    for triple in triples:
        try:
            triple.scale(baseline, phi)
            found.append(triple)
        except InputError as error:
            problem = error
    if not found and problem is not None:
        raise problem
    return tuple(found)


def _triples(bounds: Bounds) -> tuple[Coefficients, ...]:
    # No single factor may cost more than the whole step, so alpha ends at the product.
    most = bounds.product + bounds.tolerance
    steps = int((min(bounds.product, MOST_BASE) - 1) / bounds.step + 1e-9)
    values = [round(1 + i * bounds.step, 6) for i in range(steps + 1)]
    every = [
        Coefficients(alpha=a, beta=b, gamma=c)
        for a in values
        for b in values
        if a * b**2 <= most
        for c in values
        if a * b**2 * c**2 <= most
    ]
    triples = tuple(triple for triple in every if abs(triple.product - bounds.product) <= bounds.tolerance)
    if not triples:
        away = min(abs(triple.product - bounds.product) for triple in every)
        raise InputError(
            f"--tolerance {bounds.tolerance:g}: no triple on a grid of step {bounds.step:g} has a product of "
            f"{bounds.product:.3g} within it: raise --tolerance to {away + 0.001:.3f}, or lower --step"
        )
    return triples


def _merge(
    built: Iterable[tuple[Coefficients, Architecture]], baseline: Architecture, bounds: Bounds, *, fitted: bool
) -> tuple[Candidate, ...]:
    """Distinct networks, each with the triple whose own product, at the network's resolution, is nearest to right.

    A product that is right makes the larger members of the family cost what they should.
    """
    groups: dict[Architecture, list[Coefficients]] = {}
    for triple, network in built:
        groups.setdefault(network, []).append(triple)
    base, merged = count(baseline).macs, []
    for network, triples in groups.items():
        gamma = round((network.resolution / baseline.resolution) ** (1 / bounds.phi), 6)
        if fitted and gamma > MOST_BASE:
            continue  # as a triple beyond the grid
        named = [dataclasses.replace(t, gamma=gamma) if fitted else t for t in triples]
        best = min(named, key=lambda t: (abs(t.product - bounds.product), t.alpha, t.beta))
        ratio = count(network).macs / base
        merged.append(Candidate(coefficients=best, architecture=network, ratio=ratio, triples=tuple(triples)))
    return tuple(merged)
