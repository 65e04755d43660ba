"""Does the order last: a grid's best two networks and the paper's, compared again at larger phi."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from controller.halving import CANDIDATE
from nas.grid.coefficients import PAPER
from nas.grid.config import GridConfig
from nas.grid.enumeration import Candidate, Grid, enumerate_grid
from nas.grid.result import GridResult, Score, lead_of, paper_candidate, scores_of, triple_of
from nas.grid.ways import settle
from nas.history import Trial
from nas.statistics import Difference, paired_difference
from search_space.cost import count
from search_space.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a grid's best networks are worth at a larger phi."""

    phi: float
    scores: tuple[Score, ...]
    """In the order of the grid's phi; candidates by the number that they have there."""
    leads: tuple[tuple[int, Difference], ...]
    """The grid's best network minus each other, by its number."""

    @property
    def held(self) -> bool:
        """Whether mean accuracies have the order that they had."""
        means = [score.accuracy.mean for score in self.scores]
        return means == sorted(means, reverse=True)


def grid_of(settings: GridConfig) -> Grid:
    """All that a grid search may train: the candidates at its phi, and again at each phi that is checked.

    Raises:
        InputError: Nothing satisfies the constraint, or a larger phi cannot be reached.
    """
    grid = enumerate_grid(settings.baseline, settings.bounds)
    return dataclasses.replace(grid, checks=tuple(_checks(grid, settings)))


def _checks(grid: Grid, settings: GridConfig) -> Iterator[Candidate]:
    """The candidates' triples at larger phis: the same true cost for all, whatever the grid's constraint."""
    base, paper = count(settings.baseline).macs, paper_candidate(grid, settings) if settings.check_phi else None
    for phi in settings.check_phi:
        macs = round(aim(settings, phi) * base)
        for number, candidate in enumerate(grid.candidates):
            triple = PAPER if number == paper else candidate.coefficients
            try:
                network, adjusted = settle(triple.scale(settings.baseline, phi), macs)
            except InputError as error:
                raise InputError(f"--check-phi {phi:g}: alpha / beta / gamma = {triple}: {error}") from None
            ratio = count(network).macs / base
            yield Candidate(coefficients=triple, architecture=network, ratio=ratio, triples=(), adjusted=adjusted)


def aim(settings: GridConfig, phi: float) -> float:
    """What networks at phi are to cost, as a multiple of the baseline."""
    return float(settings.bounds.product**phi)


def of_grid(trials: Sequence[Trial], grid: Grid) -> list[Trial]:
    """The trials at the grid's own phi."""
    return [trial for trial in trials if trial.tokens[CANDIDATE] < len(grid.candidates)]


def phi_of(number: int, grid: Grid, settings: GridConfig) -> float:
    """The phi at which a candidate is built."""
    check = number // len(grid.candidates)
    return settings.check_phi[check - 1] if check else settings.phi


def candidate_at(check: Check, score: Score, grid: Grid, settings: GridConfig) -> Candidate:
    """The network that a score of a check is of."""
    first = (1 + settings.check_phi.index(check.phi)) * len(grid.candidates)
    return grid.networks_to_train[first + score.candidate]


def plain(checks: Sequence[Check], grid: Grid, settings: GridConfig) -> list[dict[str, Any]]:
    """What checks say, as plain data for coefficients.yaml."""
    rows = []
    for check in checks:
        networks = [candidate_at(check, score, grid, settings) for score in check.scores]
        own = [
            {**triple_of(n.coefficients), "ratio": round(n.ratio, 4), "accuracy": round(s.accuracy.mean, 5)}
            for n, s in zip(networks, check.scores, strict=True)
        ]
        leads = [lead_of("again", n, lead) for n, (_, lead) in zip(networks[1:], check.leads, strict=True)]
        rows.append({"phi": check.phi, "order_held": check.held, "networks": own, "against": leads})
    return rows


def compare_checks(
    trials: Sequence[Trial], grid: Grid, settings: GridConfig, found: GridResult, paper: int | None
) -> tuple[Check, ...]:
    """The checks that are finished: equal epochs, the seeds of the last rung.

    All pairs of all checks share the chance of a false alarm.

    Args:
        trials: The run's.
        grid: Its networks.
        settings: Its config.
        found: What came of the grid.
        paper: The candidate that the paper's triple builds.
    """
    ranked = [score.candidate for score in found.scores]
    again = ranked[:2] + [number for number in ranked[2:] if number == paper]
    groups = []
    for check, phi in enumerate(settings.check_phi, 1):
        first = check * len(grid.candidates)
        scores = {score.candidate - first: score for score in scores_of(trials, settings)}
        own = [dataclasses.replace(scores[number], candidate=number) for number in again if number in scores]
        if len(own) == len(again) > 1:
            groups.append((phi, own))
    pairs = sum(len(own) * (len(own) - 1) // 2 for _, own in groups)
    return tuple(
        Check(phi=phi, scores=tuple(own), leads=tuple((s.candidate, _lead(own[0], s, pairs)) for s in own[1:]))
        for phi, own in groups
    )


def _lead(best: Score, other: Score, pairs: int) -> Difference:
    return paired_difference(best.accuracies, other.accuracies, pairs)
