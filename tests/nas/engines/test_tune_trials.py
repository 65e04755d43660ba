from __future__ import annotations

import copy
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from nas.engines.base import Job
from search_space.architecture import Architecture

if importlib.util.find_spec("ray") is None:
    pytest.skip("ray is not installed", allow_module_level=True)

JOB = Job(trial=7, architecture=Architecture.load("mnasnet-a1"), seed=2**62, fidelity=3)


@pytest.fixture
def trials() -> Any:
    from nas.engines import ray_cluster

    ray_cluster.set_environment(local=True)  # before the first import of Ray in this process
    from nas.engines import tune_trials

    return tune_trials


def test_a_job_survives_the_way_to_a_worker(trials: Any) -> None:
    config = trials.to_config(JOB)
    assert all(isinstance(value, int | str) for value in config.values())
    assert trials.from_config(config) == JOB


def test_a_worker_that_dies_is_replaced_so_many_times(trials: Any) -> None:
    desk = trials.Desk(2, None, 2)
    attempt = trials.Attempt(1, JOB)
    for _ in range(2):
        desk.fail(attempt, "Failure # 1\nThe worker died unexpectedly.\n")
        assert desk.todo.get_nowait() is attempt
    desk.fail(attempt, "Failure # 1\nThe worker died unexpectedly.\n")
    assert desk.todo.empty()
    ticket, evaluation = desk.results.get_nowait()
    assert ticket == 1
    assert (evaluation.status, evaluation.reason) == (
        "failed",
        "its worker died 3 times: The worker died unexpectedly.",
    )


@pytest.mark.parametrize("text", ["ray.exceptions.OutOfMemoryError: killed", "The node was running low on memory."])
def test_a_candidate_whose_workers_are_killed_for_memory_is_infeasible(trials: Any, text: str) -> None:
    desk = trials.Desk(2, None, 0)
    desk.fail(trials.Attempt(1, JOB), f"Failure # 1\n{text}\nTop 10 memory users:\n...\n")
    evaluation = desk.results.get_nowait()[1]
    assert (evaluation.status, evaluation.reason) == ("infeasible", f"its worker died 1 times: {text}")


def test_jobs_are_given_out_one_a_worker_and_end_with_the_engine(trials: Any) -> None:
    desk = trials.Desk(2, None, 0)
    feed = trials.Feed(desk)
    for ticket in range(3):
        desk.todo.put(trials.Attempt(ticket, JOB))
    assert feed.suggest("a") == trials.to_config(JOB)
    assert feed.suggest("b") is not None
    assert feed.suggest("c") is None
    assert [attempt.ticket for attempt in desk.attempts.values()] == [0, 1]
    desk.closing.set()
    assert feed.suggest("c") == "FINISHED"


def test_a_job_waits_while_another_takes_over_a_warm_worker(trials: Any) -> None:
    desk = trials.Desk(2, None, 0)
    feed = trials.Feed(desk)
    desk.todo.put(trials.Attempt(0, JOB))
    desk.held.append(object())
    desk.starting.append(object())
    assert feed.suggest("a") is None
    desk.starting.clear()
    assert feed.suggest("a") is not None


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_only_a_waiting_trial_takes_over_a_warm_worker(trials: Any, status: str) -> None:
    desk = trials.Desk(2, None, 0)
    held, trial = SimpleNamespace(status="RUNNING"), SimpleNamespace(status=status)
    desk.held.append(held)
    desk.starting.append(trial)
    stopped: list[Any] = []
    chosen = trials.WarmWorkers(desk).choose_trial_to_run(SimpleNamespace(stop_trial=stopped.append))
    assert (chosen, stopped) == ((trial, [held]) if status == "PENDING" else (None, []))
    assert not desk.starting


def test_a_desk_can_be_copied_but_not_its_state(trials: Any) -> None:
    desk = trials.Desk(3, 1.5, 2)
    desk.todo.put(trials.Attempt(0, JOB))
    twin = copy.deepcopy(desk)
    assert (twin.workers, twin.timeout, twin.max_failures) == (3, 1.5, 2)
    assert twin.todo.empty()


def test_the_last_line_says_most(trials: Any) -> None:
    assert trials.last_line("Traceback\n  ...\nValueError: no\n\n") == "ValueError: no"
    assert trials.last_line("") == ""
