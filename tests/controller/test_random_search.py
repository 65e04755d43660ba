from __future__ import annotations

import pytest

from controller.base import Problem
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
