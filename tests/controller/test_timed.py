from __future__ import annotations

import pytest

from controller import timed
from controller.base import Outcome, Problem
from controller.planned import Planned
from controller.timed import Timed
from search_space.decision import Decision


class Sure(Planned):
    def beliefs(self) -> dict[str, float]:
        return {"sure": 1.0}


def test_it_proposes_what_the_other_one_does_and_counts_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 20.0, 20.5])
    monkeypatch.setattr(timed.time, "perf_counter", lambda: next(clock))
    problem = Problem(
        decisions=(Decision(name="which", choices=("a", "b")),),
        reward=lambda tokens, accuracy: accuracy,
        network=str,
        admissible=lambda tokens: True,
    )
    controller = Timed(Sure(problem, [(1,), (0,)]))
    assert (controller.problem, controller.config, controller.seed) == (problem, controller.inner.config, 0)
    assert controller.ask(0, 1) == [(1,)]
    assert controller.tell([Outcome(tokens=(1,), reward=0.5, accuracy=0.5)]) == {"sure": 1.0}
    assert controller.seconds == 2.5
