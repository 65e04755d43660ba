"""What a study of ways of scaling found: accuracies at equal cost, equal epochs and equal seeds, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.grid.config import GridConfig
from nas.grid.result import Score, scores_of
from nas.grid.ways import COMPOUND, Comparison
from nas.history import Trial
from nas.statistics import CONFIDENCE, Difference, at_chance, paired_difference
from search_space.errors import NasError


@dataclass(frozen=True, slots=True, kw_only=True)
class AtCost:
    """The ways at one cost."""

    aim: float
    """The target's MACs over the baseline's."""
    scores: tuple[Score, ...]
    """The highest mean accuracy first."""
    hero: int
    """The candidate that the others are set against: compound scaling, or the best where that was not compared."""
    leads: tuple[tuple[int, Difference], ...]
    """The hero's accuracy minus each other's, in the order of `scores`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of a study, as far as it is finished."""

    baseline: Score | None
    """None until it was trained on all seeds."""
    costs: tuple[AtCost, ...]
    """By rising cost; one appears when two ways or more were trained on all seeds."""
    pairs: int
    """Comparisons that share the chance of a false alarm: every pair of ways at every cost."""


def compare_ways(
    trials: Sequence[Trial], compared: Comparison, settings: GridConfig, described: Mapping[str, Any]
) -> Findings:
    """Set the ways of a study against each other.

    Args:
        trials: The study's.
        compared: Its networks.
        settings: Its config.
        described: What the evaluator said of itself.

    Raises:
        NasError: At no cost two ways were trained on all seeds, or all networks guess.
    """
    scores = {score.candidate: score for score in scores_of(trials, settings)}
    groups = {ratio: [scores[n] for n in compared.at(ratio) if n in scores] for ratio in settings.ratios}
    groups = {ratio: own for ratio, own in groups.items() if len(own) > 1}
    if not groups:
        failed = next((t.evaluation for t in trials if t.evaluation and not t.ok), None)
        why = f"{failed.status}: {failed.reason}" if failed else "it was stopped before"
        raise NasError(f"no two ways were trained on all {settings.repeats} seeds (the first that was not: {why})")
    if guess := at_chance([accuracy for score in scores.values() for accuracy in score.accuracies], described):
        raise NasError(f"nothing was learned, and nothing is compared: {guess}; train longer or on more images")
    pairs = sum(len(own) * (len(own) - 1) // 2 for own in groups.values())
    costs = tuple(_at_cost(ratio, own, compared, pairs) for ratio, own in groups.items())
    return Findings(baseline=scores.get(0), costs=costs, pairs=pairs)


def _at_cost(aim: float, scores: Sequence[Score], compared: Comparison, pairs: int) -> AtCost:
    ranked = sorted(scores, key=lambda score: (-score.accuracy.mean, score.candidate))
    ways = [compared.candidates[score.candidate].way for score in ranked]
    hero = ranked[ways.index(COMPOUND) if COMPOUND in ways else 0]
    others = [score for score in ranked if score is not hero]
    leads = [(other.candidate, paired_difference(hero.accuracies, other.accuracies, pairs)) for other in others]
    return AtCost(aim=aim, scores=tuple(ranked), hero=hero.candidate, leads=tuple(leads))


def verdict(found: Findings, compared: Comparison) -> list[str]:
    """What the study says, one sentence a cost, with the interval to the best of the others."""
    return [_sentence(at, compared, found.pairs) for at in found.costs]


def standing(at: AtCost, compared: Comparison) -> str:
    """Which ways the hero can be told from at one cost, in words."""
    sides = {"better than": [], "worse than": [], "not distinguishable from": []}  # type: dict[str, list[str]]
    for number, difference in at.leads:
        side = "not distinguishable from" if not difference.distinguishable else None
        side = side or ("better than" if difference.mean > 0 else "worse than")
        sides[side].append(_called(compared.candidates[number].way))
    said = ", ".join(f"{side} {_and(ways)}" for side, ways in sides.items() if ways)
    return f"{_called(compared.candidates[at.hero].way)} is {said}"


def _sentence(at: AtCost, compared: Comparison, pairs: int) -> str:
    rival, lead = at.leads[0]
    best = _called(compared.candidates[rival].way)
    return (
        f"At {at.aim:g} times the baseline's cost {standing(at, compared)}; against {best}, the best of the others: "
        f"{points(lead)} ({pairs} pairs share the chance of a false alarm)."
    )


def points(lead: Difference) -> str:
    """A difference of accuracies with its interval, in points."""
    interval = f"{CONFIDENCE:.0%} interval {lead.low * 100:+.2f} to {lead.high * 100:+.2f}"
    return f"{lead.mean * 100:+.2f} points, standard error {lead.standard_error * 100:.2f}, {interval}"


def _called(way: str) -> str:
    return "compound scaling" if way == COMPOUND else f"{way} alone"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
