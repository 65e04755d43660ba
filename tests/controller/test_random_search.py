from __future__ import annotations

import dataclasses

import pytest

from controller.base import Outcome, Problem
from controller.random_search import RandomConfig, RandomSearch
from search_space.decision import Decision
from search_space.errors import InputError

DECISIONS = tuple(Decision(name=f"d{i}", choices=("a", "b")) for i in range(3))
PROBLEM = Problem(decisions=DECISIONS, reward=lambda t, a: a, network=str, admissible=lambda t: True)


def test_proposals_are_uniform() -> None:
    controller = RandomSearch(PROBLEM, RandomConfig(), 0)
    firsts = [controller.ask(batch, 1)[0] for batch in range(400)]
    for i in range(3):
        assert 150 < sum(tokens[i] for tokens in firsts) < 250


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="batch must be at least 1, got 0"):
        RandomConfig(batch=0)


def test_what_was_tried_is_not_proposed_again_as_long_as_there_are_others() -> None:
    controller = RandomSearch(PROBLEM, RandomConfig(), 0)
    seen = set()
    for batch in range(4):
        asked = controller.ask(batch, 2)
        signals = controller.tell([Outcome(tokens=t, reward=0.5, accuracy=0.5) for t in asked])
        assert signals["repeats"] == 0
        seen |= set(asked)
    assert len(seen) == 8
    assert controller.tell([Outcome(tokens=(0, 0, 0), reward=0.5, accuracy=0.5)])["repeats"] == 1


def test_what_cannot_beat_the_best_so_far_is_not_proposed() -> None:
    """The best, not the last or the worst, is what is to be beaten."""
    problem = dataclasses.replace(PROBLEM, reward=lambda tokens, accuracy: accuracy * (0.5 if tokens[0] else 1.0))
    controller = RandomSearch(problem, RandomConfig(), 0)
    controller.tell(
        [Outcome(tokens=(0, 0, 0), reward=0.9, accuracy=0.9), Outcome(tokens=(1, 0, 0), reward=0.1, accuracy=0.2)]
    )
    controller.tell([Outcome(tokens=(1, 1, 0), reward=0.2, accuracy=0.4)])
    assert {tokens[0] for batch in range(5) for tokens in controller.ask(batch, 3)} == {0}
