"""From the accuracies of a final to its table and one plain sentence.

Every interval shown is one of Student's over paired seeds, and all pairs of networks share the 5 % chance of a false
alarm (Bonferroni): whichever of them the sentence picks, its interval holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from evaluator.objective import Objective
from nas.history import Final, Finalist
from nas.statistics import Difference, leads, mean_of, paired_difference
from search_space.cost import count


def conclude(trials: int, finalists: Sequence[Finalist], objective: Objective, at_chance: str) -> Final:
    """Rank the networks of a final by their rewards and say what comes of it.

    Args:
        trials: Of the search.
        finalists: At least two, one of them found by the search.
        objective: The search's.
        at_chance: Why the accuracies are those of guessing; empty where they are not.
    """
    ranked = sorted(finalists, key=lambda finalist: -reward_of(finalist, objective))
    verdict = f"This final says nothing: {at_chance}." if at_chance else sentence(ranked)
    return Final(trials=trials, finalists=tuple(ranked), verdict=verdict)


def reward_of(finalist: Finalist, objective: Objective) -> float:
    """What a network is worth by its mean accuracy and its MACs; no latency is measured again."""
    return objective.reward(mean_of(finalist.accuracies).mean, count(finalist.network).macs)


def sentence(ranked: Sequence[Finalist]) -> str:
    """What a final says of the best network that the search found.

    Args:
        ranked: The networks, the highest reward first.
    """
    winner, pairs = ranked[0], math.comb(len(ranked), 2)
    rivals = [finalist for finalist in ranked if finalist.role != "found"]
    if not rivals:
        return f"{winner.name} won, beside no other than networks of the same search."
    if winner.role != "found":
        best = next(finalist for finalist in ranked if finalist.role == "found")
        difference = _difference(winner, best, pairs)
        how = "is better than" if difference.low > 0 else "is not distinguishable from"
        if difference.high < 0:
            how = "costs less for its accuracy than"
        return (
            f"We found nothing better: {winner.name} {how} {best.name}, the best that was found "
            f"({_points(difference)})."
        )
    differences = {rival.name: _difference(winner, rival, pairs) for rival in rivals}
    better = [name for name, difference in differences.items() if difference.low > 0]
    worse = [name for name, difference in differences.items() if difference.high < 0]
    unclear = [name for name in differences if name not in (*better, *worse)]
    cost = count(winner.network).macs
    dearer = all(count(rival.network).macs >= cost for rival in rivals if rival.name in better)

    def shown(names: Sequence[str]) -> str:
        return _listed([f"{name} ({_points(differences[name])})" for name in names])

    said = [f"better than {shown(better)}{' at no more multiply-adds' if dearer else ''}"] if better else []
    said += [f"not distinguishable from {shown(unclear)}"] if unclear else []
    said += [f"less accurate than {shown(worse)}, whose reward is lower for what that costs"] if worse else []
    return f"{winner.name} is {', and '.join(said)}."


def table(final: Final) -> Table:
    """The networks of a final, best first: cost, accuracy, and how far the winner is ahead."""
    shown = Table(box=None, pad_edge=False)
    for column in ("network", "MACs", "parameters", "accuracy", "winner ahead by"):
        name = column == "network"
        shown.add_column(column, justify="left" if name else "right", no_wrap=not name)
    ahead_of = leads([finalist.accuracies for finalist in final.finalists])
    for finalist, lead in zip(final.finalists, [None, *ahead_of], strict=True):
        cost, mean = count(finalist.network), mean_of(finalist.accuracies)
        ahead = "-" if lead is None else _interval(lead)
        accuracy = f"{mean.mean:.2%} +- {100 * mean.standard_error:.2f}"
        shown.add_row(finalist.name, f"{cost.macs:,}", f"{cost.params:,}", accuracy, ahead)
    return shown


def title(final: Final, longer: int) -> str:
    """What stands above the table."""
    networks, seeds = len(final.finalists), len(final.finalists[0].accuracies)
    return (
        f"Final: {networks} networks, trained {longer} times longer on the same {seeds} seeds, highest reward first; "
        f"accuracy with its standard error, points with 95 % intervals that hold for all {math.comb(networks, 2)} "
        "pairs at once"
    )


def _difference(first: Finalist, second: Finalist, pairs: int) -> Difference:
    return paired_difference(first.accuracies, second.accuracies, pairs)


def _interval(d: Difference) -> str:
    return f"{100 * d.mean:+.2f} [{100 * d.low:+.2f}, {100 * d.high:+.2f}]"


def _points(d: Difference) -> str:
    return f"{100 * d.mean:+.2f} points of accuracy, 95 % {100 * d.low:+.2f} to {100 * d.high:+.2f}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
