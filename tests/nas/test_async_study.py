from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.base import Controller, Outcome
from evaluator.base import Evaluation
from evaluator.objective import Objective
from nas.async_study import AsyncStudy
from nas.engines.base import Engine, Job
from nas.engines.local import LocalEngine, evaluate_safely
from nas.journal import Journal, read
from search_space.decision import Tokens
from search_space.space import SearchSpace
from tests.toys import ToyConfig, ToyEvaluator


class Pool(Engine):
    """Keeps up to three jobs in flight and finishes the newest first."""

    def __init__(self) -> None:
        self.evaluator = ToyEvaluator(ToyConfig())
        self.flying: list[Job] = []
        self.fewest = 3

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        source = iter(jobs)
        while True:
            while len(self.flying) < 3 and (job := next(source, None)) is not None:
                self.flying.append(job)
            if not self.flying:
                return
            job = self.flying.pop()
            yield job.trial, evaluate_safely(self.evaluator, job)


class Listed(Controller[Any]):
    """Proposes from a list and notes what it is told, and when."""

    Config = dict
    presets = {"default": {}}  # noqa: RUF012 - a toy

    def __init__(self, proposals: list[Tokens]) -> None:
        self.proposals = proposals
        self.log: list[Any] = []

    def ask(self, batch: int, count: int) -> list[Tokens]:
        self.log.append(("ask", batch))
        return self.proposals[2 * batch : 2 * batch + count]

    def tell(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        self.log.append(("tell", [self.proposals.index(outcome.tokens) for outcome in outcomes]))
        return {}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("accel-nasbench")


@pytest.fixture(scope="module")
def proposals(space: SearchSpace) -> list[Tokens]:
    generator = np.random.default_rng(0)
    return [space.encode(space.sample(generator)) for _ in range(8)]


def make(journal: Journal, space: SearchSpace, controller: Controller[Any], trials: int = 8) -> AsyncStudy:
    return AsyncStudy(
        space=space,
        objective=Objective(target_macs=400_000_000),
        controller=controller,
        journal=journal,
        num_trials=trials,
        batch_size=2,
        seed=0,
    )


def test_it_proposes_while_trials_are_in_flight_and_learns_as_they_finish(
    tmp_path: Path, space: SearchSpace, proposals: list[Tokens]
) -> None:
    controller = Listed(proposals)
    with Journal(tmp_path / "j") as journal:
        finished = [trial.number for trial in make(journal, space, controller).run(Pool())]
    # Jobs 0, 1, 2 start; 2 ends first, 3 takes its place and ends, and trial 0 stays in flight until the end.
    assert finished == [2, 3, 4, 5, 6, 7, 1, 0]
    asks = [("ask", 0), ("ask", 1)]
    assert controller.log == [
        *asks, ("tell", [2, 3]), ("ask", 2), ("tell", [4, 5]), ("ask", 3), ("tell", [6, 7]), ("tell", [0, 1])
    ]  # fmt: skip
    updates = [event["trials"] for event in read(tmp_path / "j") if event["event"] == "updated"]
    assert updates == [[2, 3], [4, 5], [6, 7], [0, 1]]


def test_repeats_take_the_first_result_whether_it_is_known_or_in_flight(
    tmp_path: Path, space: SearchSpace, proposals: list[Tokens]
) -> None:
    a, b, c = proposals[:3]
    controller = Listed([a, a, b, b, c, b])
    with Journal(tmp_path / "j") as journal:
        study = make(journal, space, controller, trials=6)
        numbers = [trial.number for trial in study.run(Pool())]
    assert sorted(numbers) == list(range(6))
    assert [trial.repeat_of for trial in study.trials] == [None, 0, None, 2, None, 2]
    assert all(trial.ok for trial in study.trials)
    assert sorted(n for kind, told in controller.log if kind == "tell" for n in told) == [0, 0, 2, 2, 2, 4]


@pytest.mark.parametrize("keep", range(17))
def test_a_resumed_run_has_learned_the_same_and_finishes_each_trial_once(
    tmp_path: Path, space: SearchSpace, proposals: list[Tokens], keep: int
) -> None:
    with Journal(tmp_path / "whole") as journal:
        list(make(journal, space, Listed(proposals)).run(Pool()))
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    assert len(lines) == 16
    (tmp_path / "part").write_bytes(b"".join(lines[:keep]))
    controller = Listed(proposals)
    with Journal(tmp_path / "part") as journal:
        study = make(journal, space, controller)
        told = [event["trials"] for event in read(tmp_path / "part") if event["event"] == "updated"]
        assert controller.log == [("tell", trials) for trials in told]
        list(study.run(Pool()))
    events = list(read(tmp_path / "part"))
    assert sorted(event["trial"] for event in events if event["event"] == "finished") == list(range(8))
    assert sorted(n for event in events if event["event"] == "updated" for n in event["trials"]) == list(range(8))


def test_it_works_in_one_process_too(tmp_path: Path, space: SearchSpace, proposals: list[Tokens]) -> None:
    with Journal(tmp_path / "j") as journal:
        study = make(journal, space, Listed(proposals))
        assert [t.number for t in study.run(LocalEngine(ToyEvaluator(ToyConfig())))] == list(range(8))


def test_without_time_nothing_more_is_proposed(tmp_path: Path, space: SearchSpace, proposals: list[Tokens]) -> None:
    with Journal(tmp_path / "j") as journal:
        study = make(journal, space, Listed(proposals))
        study.has_time = lambda: len(study.trials) < 3
        assert len(list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))) == 4


def test_asked_one_by_one_no_trial_is_lost_and_none_learned_from_twice(
    tmp_path: Path, space: SearchSpace, proposals: list[Tokens]
) -> None:
    good = Evaluation(status="ok", accuracy=0.5)
    with Journal(tmp_path / "j") as journal:
        study = make(journal, space, Listed(proposals), trials=4)
        assert [t.number for t in (study.ask(), study.ask(), study.ask()) if t] == [0, 1, 2]
        study.tell(2, good)
        study.tell(1, good)  # 1 and 2 are learned from, 0 and 3 are open
    with Journal(tmp_path / "j") as journal:
        study = make(journal, space, Listed(proposals), trials=6)
        assert [t.number for t in (study.ask(), study.ask()) if t] == [0, 3]
        study.tell(0, good)
        study.tell(3, good)
        list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))
        assert [t.number for t in (study.ask(),) if t] == [6]
    updates = [event["trials"] for event in read(tmp_path / "j") if event["event"] == "updated"]
    assert updates == [[1, 2], [0, 3], [4, 5]]
