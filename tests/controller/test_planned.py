from __future__ import annotations

from controller.base import Outcome, Problem
from controller.planned import Planned
from search_space.decision import Decision


def test_a_plan_is_proposed_in_its_order_until_told() -> None:
    problem = Problem(
        decisions=(Decision(name="which", choices=("a", "b", "c")),),
        reward=lambda tokens, accuracy: accuracy,
        network=str,
        admissible=lambda tokens: True,
    )
    plan = Planned(problem, [(2,), (0,), (1,)])
    assert plan.ask(0, 2) == plan.ask(5, 2) == [(2,), (0,)]
    plan.tell([Outcome(tokens=(2,), reward=0.5, accuracy=0.5)])
    assert plan.ask(1, 4) == [(0,), (1,)]
    plan.tell([Outcome(tokens=tokens, reward=0.5, accuracy=0.5) for tokens in ((0,), (1,))])
    assert plan.ask(2, 4) == []
