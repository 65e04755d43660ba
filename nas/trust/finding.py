"""From the trainings of a trust report to its figures, and from its figures to one plain sentence.

Rankings are judged by accuracies: rewards share the exact cost of a network, and would agree whatever is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.statistics import (
    Deviation,
    Difference,
    RankCorrelation,
    deviation,
    exceeds,
    paired_difference,
    rank_advantage,
    rank_correlation,
)
from nas.trust.plan import (
    LEAST_LONGER,
    LEAST_NOISE,
    LONG,
    LONGER,
    REFERENCE_CANDIDATE,
    SHORT,
    Plan,
    competitors,
    seed_of,
)
from search_space.decision import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search knows of its networks, in the order of their places from 1."""

    accuracies: Sequence[float]
    rewards: Sequence[float]
    free: Mapping[str, Sequence[float]]
    """What else scores them, without a training of each, by name."""
    at_chance: str = ""
    """Why the accuracies are those of guessing; empty where they are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFigures:
    """What was measured; None where the budget, or failed trainings, left too little."""

    noise: Deviation | None = None
    """Of an accuracy over seeds, among the networks that compete for the win."""
    spread: Deviation | None = None
    """Of the search's accuracies over the same networks, noise included."""
    ranking: RankCorrelation | None = None
    """The search's accuracies against those of longer training."""
    bars: Mapping[str, tuple[RankCorrelation, RankCorrelation]]
    """What costs no training, by name: how it ranks, and by how much the search ranks better."""
    differences: Mapping[str, Difference]
    """The winner's accuracy minus that of others, all trained longer on the same seeds."""
    at_chance: str = ""
    """Why nothing else can be said; empty where something can."""


def figures(plan: Plan, results: Mapping[Tokens, float], searched: Searched, seed: int) -> TrustFigures:
    """Figures from whatever is finished.

    Args:
        plan: What was to be trained.
        results: Accuracy of every finished training.
        searched: The search's networks.
        seed: Of the bootstrap.
    """
    if searched.at_chance:
        return TrustFigures(bars={}, differences={}, at_chance=searched.at_chance)
    again = _finished(results, plan.noise, SHORT)
    shifts = [accuracy - searched.accuracies[place - 1] for place, accuracy in again.items()]
    competing = [searched.accuracies[place - 1] for place in competitors(searched.rewards)]
    longer = _finished(results, plan.longer, LONG)
    enough, truth = len(longer) >= LEAST_LONGER, list(longer.values())
    short = [searched.accuracies[place - 1] for place in longer]
    free = {name: [scores[place - 1] for place in longer] for name, scores in searched.free.items()}
    bars = {
        name: (rank_correlation(score, truth, seed), rank_advantage(short, score, truth, seed))
        for name, score in free.items()
        if enough
    }
    return TrustFigures(
        # Two trainings differ by the root of two times the noise; what all have in common moves no ranking.
        noise=_deviation(shifts, 2.0) if len(shifts) >= LEAST_NOISE else None,
        spread=_deviation(competing, 1.0) if len(competing) >= LEAST_NOISE else None,
        ranking=rank_correlation(short, truth, seed) if enough else None,
        bars=bars,
        differences=_differences(plan, results),
    )


def _finished(results: Mapping[Tokens, float], places: Sequence[int], length: int) -> dict[int, float]:
    """Accuracy of each network that was trained so long, by its place."""
    proposals = {place: (place, length, seed_of(place)) for place in places}
    return {place: results[proposal] for place, proposal in proposals.items() if proposal in results}


def _deviation(values: Sequence[float], parts: float) -> Deviation:
    return deviation(float(np.var(values, ddof=0)) * len(values) / parts, len(values) - 1)


def _differences(plan: Plan, results: Mapping[Tokens, float]) -> dict[str, Difference]:
    seeds = [
        s for s in range(1, plan.seeds + 1) if all((place, LONG, s) in results for place in plan.finalists)
    ]  # an unfinished seed is left out: differences are paired
    if len(seeds) < 2:
        return {}
    winner, *others = ([results[place, LONG, s] for s in seeds] for place in plan.finalists)
    names = [f"runner-up {i}" for i in range(1, len(others))] + ["the reference"]
    assert plan.finalists[-1] == REFERENCE_CANDIDATE
    return {name: paired_difference(winner, other, len(others)) for name, other in zip(names, others, strict=True)}


def lines(finding: TrustFigures, reference: str, more: str) -> list[str]:
    """The report, line by line; the last one is the sentence.

    Args:
        finding: What was measured.
        reference: What the reference is called.
        more: How to measure what is missing.
    """
    text = []
    if finding.noise is not None and finding.spread is not None:
        text.append(
            f"Among the better half a seed moves an accuracy by {finding.noise}; networks differ by {finding.spread}"
        )
    if finding.ranking is not None:
        bars = "; ".join(f"{name} alone: {tau}" for name, (tau, _) in finding.bars.items())
        text.append(
            f"Rank correlation of accuracies with {LONGER} times longer training, {finding.ranking.networks} networks: "
            f"{finding.ranking} ({bars})"
        )
    for name, d in finding.differences.items():
        verdict = "distinguishable" if d.distinguishable else "not distinguishable"
        name = name.replace("the reference", reference)
        text.append(
            f"Winner minus {name}, trained longer: {100 * d.mean:+.2f} points of accuracy "
            f"[{100 * d.low:+.2f}, {100 * d.high:+.2f}], {verdict}"
        )
    return [*text, sentence(finding, reference, more)]


def sentence(finding: TrustFigures, reference: str, more: str) -> str:
    """What the answer is worth, in one sentence."""
    if finding.at_chance:
        return f"This answer is worth nothing: {finding.at_chance}."
    return f"This answer is worth {_worth(finding)}{_winner(finding, reference)}{_missing(finding, more)}."


def _worth(finding: TrustFigures) -> str:
    ranking = finding.ranking
    if ranking is not None:
        if ranking.low > 0:
            return f"something: longer training ranks as it does beyond chance{_against_bars(finding)}"
        if ranking.high < 0:
            return "nothing: longer training ranks the other way round"
        return "nothing that could be shown: as far as measured its ranking is noise to longer training"
    if finding.noise is None or finding.spread is None:
        return "what its evaluator is worth, which was not measured"
    if exceeds(finding.spread, finding.noise):
        return "what longer training would say of it: its better networks differ by more than a seed moves them"
    return "nothing that could be shown: its better networks do not differ by more than a seed moves them"


def _against_bars(finding: TrustFigures) -> str:
    """How it ranks beside what costs no training."""
    better = [name for name, (_, advantage) in finding.bars.items() if advantage.low > 0]
    worse = [name for name, (_, advantage) in finding.bars.items() if advantage.high < 0]
    if worse:
        return f", but {' and '.join(worse)} alone would have ranked better"
    unclear = [name for name in finding.bars if name not in better]
    if unclear:
        return f", though {' and '.join(unclear)} alone may rank as well"
    return f", and better than {' or '.join(finding.bars)} alone"


def _winner(finding: TrustFigures, reference: str) -> str:
    difference = finding.differences.get("the reference")
    if difference is None:
        return ""
    if not difference.distinguishable:
        return f"; its winner is not distinguishable from {reference}"
    return f"; its winner is {'better' if difference.mean > 0 else 'worse'} than {reference}"


def _missing(finding: TrustFigures, more: str) -> str:
    return f" ({more})" if finding.ranking is None or not finding.differences else ""
