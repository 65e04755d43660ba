"""What a trust report measures, as far as its budget reaches: most important first.

The unit of cost is one of the search's own trainings; a longer one costs `LONGER` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search_space.decision import Tokens

LONGER = 4
"""How many times longer a network is trained to see what its score was worth."""
SHORT, LONG = 0, 1
MOST_SEEDS = 5
LEAST_NOISE, LEAST_LONGER, LEAST_FINALS = 4, 6, 6
"""Trainings of each part below which it says nothing."""
ENOUGH_LONGER = 16
"""Longer trainings that show a true rank correlation of .6 nine times in ten."""
REFERENCE_CANDIDATE = 0
"""The reference's place among the candidates; the search's networks follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Candidates by their places; a part that the budget does not reach is empty."""

    noise: tuple[int, ...]
    """Trained again on another seed, as long as in the search: among the networks that compete for the win."""
    longer: tuple[int, ...]
    """Trained longer: spread over the search's accuracies, from best to worst."""
    finalists: tuple[int, ...]
    """The winner, runner-ups and last the reference, trained longer on the same seeds."""
    seeds: int

    def proposals(self) -> list[Tokens]:
        """(candidate, length, seed) of every training, most important first, none twice."""
        every = [(place, SHORT, seed_of(place)) for place in self.noise]
        every += [(place, LONG, seed_of(place)) for place in self.longer]
        every += [(place, LONG, seed) for seed in range(1, self.seeds + 1) for place in self.finalists]
        return list(dict.fromkeys(every))


def seed_of(place: int) -> int:
    """Seed of a network that is not compared on several.

    As in the search, networks have seeds of their own, as far as there are as many: on one for all, those whose first
    layers are alike would begin with the same weights there, and the luck of these would pass for what they are worth.
    """
    return 1 + place % MOST_SEEDS


def cost(proposals: Sequence[Tokens]) -> float:
    """What trainings cost, in trainings of the search."""
    return sum(LONGER if length == LONG else 1 for _, length, _ in proposals)


def make_plan(accuracies: Sequence[float], rewards: Sequence[float], units: float, winner: int) -> Plan:
    """Spend at most `units`.

    Args:
        accuracies: Of the search's networks, in the order of their places.
        rewards: Likewise.
        units: The budget, in trainings of the search.
        winner: Index of the search's best network: not that of the highest reward where some were trained on.
    """
    competing = competitors(rewards)
    best_first = [1 + winner, *(place for place in order_by(rewards) if place != 1 + winner)]
    left = units

    def take(least: int, share: float, most: int, unit: float = 1) -> int:
        nonlocal left
        number = min(max(least, int(share * units / unit)), most, int(left / unit))
        number = number if number >= least else 0
        left -= number * unit
        return number

    noise = take(LEAST_NOISE, 0.15, min(12, len(competing)))
    longer = take(LEAST_LONGER, 0.5, min(30, len(rewards)), LONGER)
    finals = take(LEAST_FINALS, 0.35, 4 * MOST_SEEDS, LONGER)
    seeds = min(MOST_SEEDS, max(3, finals // 4)) if finals else 0
    finalists = [*best_first[: min(3, finals // seeds - 1)], REFERENCE_CANDIDATE] if finals else []
    more = min(int(left), min(12, len(competing)) - noise) if noise else 0
    return Plan(
        noise=tuple(spread(competing, noise + more)),
        longer=tuple(spread(order_by(accuracies), longer)),
        finalists=tuple(finalists),
        seeds=seeds,
    )


def enough(accuracies: Sequence[float], rewards: Sequence[float], winner: int) -> float | None:
    """The least budget, in trainings of the search, that reaches every part and longer trainings enough.

    Returns:
        None where there are too few networks for some part.
    """
    wanted = min(ENOUGH_LONGER, len(rewards))
    for units in range(10, 1000, 10):
        plan = make_plan(accuracies, rewards, units, winner)
        if plan.noise and len(plan.longer) >= wanted and plan.finalists:
            return float(units)
    return None


def order_by(values: Sequence[float]) -> list[int]:
    """Places of the search's networks, the highest value first."""
    return [1 + i for i in sorted(range(len(values)), key=lambda i: -values[i])]


def competitors(rewards: Sequence[float]) -> list[int]:
    """Places of the better half: what fails early says nothing of the win."""
    return order_by(rewards)[: max(LEAST_NOISE, (len(rewards) + 1) // 2)]


def spread(order: Sequence[int], number: int) -> list[int]:
    """`number` of the places in `order`, evenly, first and last included."""
    if number < 2:
        return list(order[:number])
    return [order[round(i * (len(order) - 1) / (number - 1))] for i in range(number)]
