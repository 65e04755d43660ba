from __future__ import annotations

from typing import Any

import pytest

from controller.base import Outcome
from controller.halving import HalvingConfig, SuccessiveHalving, rung_size
from evaluator.objective import Objective
from nas.grid.candidates import CandidateSpace
from nas.problem import make_problem
from search_space.architecture import Architecture
from search_space.decision import Tokens
from search_space.errors import InputError

B0 = Architecture.load("efficientnet-b0")
RUNGS = (1, 2, 4)


def controller(number: int, **changes: Any) -> SuccessiveHalving:
    space = CandidateSpace("toys", [B0] * number, RUNGS, repeats=2)
    problem = make_problem(space, Objective(target_macs=1, alpha=0.0, beta=0.0), None)
    config = HalvingConfig(**{"rungs": 3, "finalists": 2, "repeats": 2, **changes})
    return SuccessiveHalving(problem, config, 0)


def outcomes(proposals: list[Tokens], accuracy: dict[int, float | None]) -> list[Outcome]:
    return [Outcome(tokens=t, reward=accuracy[t[0]] or 0.0, accuracy=accuracy[t[0]]) for t in proposals]


def test_rungs_keep_the_better_half_and_the_last_repeats() -> None:
    halving, accuracy = controller(8), dict(enumerate([0.1, 0.9, 0.3, 0.8, 0.5, 0.7, 0.2, 0.6]))
    first = halving.ask(0, 99)
    assert first == [(i, 0, 0) for i in range(8)]
    assert halving.tell(outcomes(first, accuracy)) == {"rung": 0, "promoted": [1, 3, 5, 7]}
    second = halving.ask(1, 99)
    assert second == halving.ask(1, 99) == [(i, 1, 0) for i in (1, 3, 5, 7)]
    halving.tell(outcomes(second, accuracy))
    last = halving.ask(2, 99)
    assert last == [(1, 2, 1), (3, 2, 1), (1, 2, 2), (3, 2, 2)]
    halving.tell(outcomes(last, accuracy))
    assert halving.ask(3, 99) == []


def test_one_that_is_kept_in_reaches_the_last_rung_on_any_score() -> None:
    halving, accuracy = controller(8, seeded=(0,)), {i: i / 10 for i in range(8)}
    for rung, expected in enumerate(([*range(8)], [0, 4, 5, 6, 7], [0, 6, 7])):
        proposals = halving.ask(rung, 99)
        assert sorted({tokens[0] for tokens in proposals}) == expected
        halving.tell(outcomes(proposals, accuracy))


def test_failures_go_no_further() -> None:
    halving, accuracy = controller(4, seeded=(0,)), {0: None, 1: None, 2: None, 3: 0.5}
    halving.tell(outcomes(halving.ask(0, 99), accuracy))
    assert halving.ask(1, 99) == [(3, 1, 0)]
    halving.tell(outcomes(halving.ask(1, 99), {3: None}))
    assert halving.ask(2, 99) == []


def test_ties_go_to_the_earlier_candidate() -> None:
    halving = controller(4)
    assert halving.tell(outcomes(halving.ask(0, 99), dict.fromkeys(range(4), 0.5)))["promoted"] == [0, 1]


@pytest.mark.parametrize(
    ("number", "sizes"), [(16, [16, 8, 3]), (5, [5, 3, 3]), (9, [9, 5, 3]), (2, [2, 2, 2]), (1, [1, 1, 1])]
)
def test_rung_sizes(number: int, sizes: list[int]) -> None:
    config = HalvingConfig(rungs=3, finalists=3, repeats=2)
    assert [rung_size(number, rung, config) for rung in range(3)] == sizes


def test_the_best_two_and_what_is_kept_in_are_checked_as_other_networks() -> None:
    halving = controller(4 * 3, checks=2, seeded=(0,), rungs=2)
    accuracy: dict[int, float | None] = {number: number % 4 / 10 for number in range(12)}
    first = halving.ask(0, 99)
    assert first == [(i, 0, 0) for i in range(4)]
    halving.tell(outcomes(first, accuracy))
    last = halving.ask(1, 99)
    assert {tokens[:2] for tokens in last} == {(0, 1), (2, 1), (3, 1)}
    halving.tell(outcomes(last, accuracy))
    for check in (1, 2):  # whatever a check finds, the next one is of the same networks
        proposals = halving.ask(1 + check, 99)
        assert proposals == [(4 * check + i, 1, repeat) for repeat in (1, 2) for i in (3, 2, 0)]
        halving.tell(outcomes(proposals, {**accuracy, 7: 0.0}))
    assert halving.ask(4, 99) == []


def test_a_network_that_failed_on_a_seed_is_not_checked() -> None:
    halving = controller(6, checks=1, rungs=1)
    last = halving.ask(0, 99)
    found = [Outcome(tokens=t, reward=0.5, accuracy=None if t[0] == 2 and t[2] == 2 else 0.5 + t[0] / 10) for t in last]
    halving.tell(found)
    assert {tokens[0] for tokens in halving.ask(1, 99)} == {3, 4}


@pytest.mark.parametrize("name", ["rungs", "finalists", "repeats"])
def test_nothing_to_compare(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1, got 0"):
        HalvingConfig(**{"rungs": 1, "finalists": 1, "repeats": 1, name: 0})  # type: ignore[arg-type]
