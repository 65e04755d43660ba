"""From the trainings of a trust report to its figures, and from its figures to one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.statistics import Difference, RankCorrelation, paired_difference, rank_correlation
from nas.trust.plan import LONG, LONGER, REFERENCE_CANDIDATE, SHORT, Plan
from search_space.decision import Tokens

MOSTLY_NOISE = 0.7
"""Share of the spread from which on a seed moves a reward about as far as networks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFigures:
    """What was measured; None where the budget, or failed trainings, left too little."""

    noise: float | None
    """Standard deviation of a reward over seeds."""
    spread: float
    """Standard deviation of the search's rewards over its networks, noise included."""
    ranking: RankCorrelation | None
    """The search's rewards against those of longer training."""
    params: RankCorrelation | None
    """Numbers of parameters against the same."""
    control: tuple[float, float, int] | None
    """Best reward of random networks, best of as many first trials of the search, and how many."""
    differences: Mapping[str, Difference]
    """The winner's reward minus that of others, all trained longer on the same seeds."""

    @property
    def is_noise(self) -> bool | None:
        """Whether the search's ranking is noise; None where that was not measured."""
        if self.ranking is not None:
            return self.ranking.low <= 0
        return None if self.noise is None else self.noise >= MOSTLY_NOISE * self.spread


def figures(
    plan: Plan, results: Mapping[Tokens, float], rewards: Sequence[float], params: Sequence[int], seed: int
) -> TrustFigures:
    """Figures from whatever is finished.

    Args:
        plan: What was to be trained.
        results: Reward of every finished training.
        rewards: The search's rewards, in the order of places from 1.
        params: Numbers of parameters, likewise.
        seed: Of the bootstrap.
    """
    again = {place: results[place, SHORT, 1] for place in plan.noise if (place, SHORT, 1) in results}
    shifts = [reward - rewards[place - 1] for place, reward in again.items()]
    longer = {place: results[place, LONG, 1] for place in plan.longer if (place, LONG, 1) in results}
    enough, long_rewards = len(longer) >= 3, list(longer.values())
    random = [results[place, SHORT, 1] for place in plan.control if (place, SHORT, 1) in results]
    return TrustFigures(
        # Two trainings differ by the root of two times the noise; what all have in common moves no ranking.
        noise=float(np.std(shifts, ddof=1)) / 2**0.5 if len(shifts) >= 3 else None,
        spread=float(np.std(rewards, ddof=1)),
        ranking=rank_correlation([rewards[p - 1] for p in longer], long_rewards, seed) if enough else None,
        params=rank_correlation([params[p - 1] for p in longer], long_rewards, seed) if enough else None,
        control=(max(random), max(rewards[: len(random)]), len(random)) if random else None,
        differences=_differences(plan, results),
    )


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


def lines(finding: TrustFigures, reference: str, command: str) -> list[str]:
    """The report, line by line; the last one is the sentence.

    Args:
        finding: What was measured.
        reference: What the reference is called.
        command: How to measure what is missing.
    """
    text = []
    if finding.noise is not None:
        text.append(
            f"Noise floor: a seed moves a reward by {finding.noise:.4f}; networks differ by {finding.spread:.4f}"
        )
    if finding.ranking is not None:
        text.append(
            f"Rank correlation with {LONGER} times longer training, {finding.ranking.networks} networks: "
            f"{finding.ranking} (the number of parameters alone: {finding.params})"
        )
    if finding.control is not None:
        random, search, number = finding.control
        text.append(f"Best of {number} random networks: {random:.4f}; of the search's first {number}: {search:.4f}")
    for name, d in finding.differences.items():
        verdict = "distinguishable" if d.distinguishable else "not distinguishable"
        name = name.replace("the reference", reference)
        text.append(f"Winner minus {name}, trained longer: {d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}], {verdict}")
    return [*text, sentence(finding, reference, command)]


def sentence(finding: TrustFigures, reference: str, command: str) -> str:
    """What the answer is worth, in one sentence."""
    return f"This answer is worth {_worth(finding)}{_winner(finding, reference)}{_missing(finding, command)}."


def _worth(finding: TrustFigures) -> str:
    if finding.is_noise is None:
        return "what its evaluator is worth, which was not measured"
    if finding.ranking is None:
        if finding.is_noise:
            return "little: its ranking is noise, a seed moves a reward about as far as networks differ"
        return "something only if longer training agrees: seeds are not what makes its ranking"
    if finding.is_noise:
        return "nothing that could be shown: as far as measured its ranking is noise to longer training"
    assert finding.params is not None
    if finding.ranking.tau < finding.params.tau:
        return "less than counting parameters, which ranks as longer training does more often than its own rewards do"
    return "something: longer training ranks as it does, at least as far as by counting parameters"


def _winner(finding: TrustFigures, reference: str) -> str:
    difference = finding.differences.get("the reference")
    if difference is None:
        return ""
    if not difference.distinguishable:
        return f"; its winner is not distinguishable from {reference}"
    return f"; its winner is {'better' if difference.mean > 0 else 'worse'} than {reference}"


def _missing(finding: TrustFigures, command: str) -> str:
    return f" (to measure more: {command})" if finding.ranking is None or not finding.differences else ""
