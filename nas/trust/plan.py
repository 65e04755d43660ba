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
REFERENCE_CANDIDATE = 0
"""The reference's place among the candidates; the search's networks follow, then the random ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Candidates by their places; a part that the budget does not reach is empty."""

    noise: tuple[int, ...]
    """Trained again on another seed, as long as in the search."""
    longer: tuple[int, ...]
    """Trained longer: spread over the search's rewards, from best to worst."""
    control: tuple[int, ...]
    """Random networks, trained as in the search."""
    finalists: tuple[int, ...]
    """The winner, runner-ups and last the reference, trained longer on the same seeds."""
    seeds: int

    def proposals(self) -> list[Tokens]:
        """(candidate, length, seed) of every training, most important first, none twice."""
        every = [(place, SHORT, 1) for place in self.noise]
        every += [(place, LONG, 1) for place in self.longer]
        every += [(place, SHORT, 1) for place in self.control]
        every += [(place, LONG, seed) for seed in range(1, self.seeds + 1) for place in self.finalists]
        return list(dict.fromkeys(every))


def cost(proposals: Sequence[Tokens]) -> float:
    """What trainings cost, in trainings of the search."""
    return sum(LONGER if length == LONG else 1 for _, length, _ in proposals)


def make_plan(rewards: Sequence[float], units: float, winner: int) -> Plan:
    """Spend at most `units`.

    Args:
        rewards: Of the search's networks, in the order of their places.
        units: The budget, in trainings of the search.
        winner: Index of the search's best network: not that of the highest reward where some were trained on.
    """
    order = [1 + i for i in sorted(range(len(rewards)), key=lambda i: -rewards[i])]
    best_first = [1 + winner, *(place for place in order if place != 1 + winner)]
    left = units

    def take(least: int, share: float, most: int, unit: float = 1) -> int:
        nonlocal left
        number = min(max(least, int(share * units / unit)), most, int(left / unit))
        number = number if number >= least else 0
        left -= number * unit
        return number

    noise = take(3, 0.15, min(10, len(order)))
    longer = take(6, 0.4, min(30, len(order)), LONGER)
    control = take(4, 0.15, len(order))
    finals = take(6, 0.3, 4 * MOST_SEEDS, LONGER)
    seeds = min(MOST_SEEDS, max(3, finals // 4)) if finals else 0
    finalists = [*best_first[: min(3, finals // seeds - 1)], REFERENCE_CANDIDATE] if finals else []
    first_random = 1 + len(rewards)
    return Plan(
        noise=tuple(spread(order, noise + (min(int(left), 10 - noise, len(order) - noise) if noise else 0))),
        longer=tuple(spread(order, longer)),
        control=tuple(range(first_random, first_random + control)),
        finalists=tuple(finalists),
        seeds=seeds,
    )


def spread(order: Sequence[int], number: int) -> list[int]:
    """`number` of the places in `order`, evenly, first and last included."""
    if number < 2:
        return list(order[:number])
    return [order[round(i * (len(order) - 1) / (number - 1))] for i in range(number)]
