"""What every engine promises, over all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas.engines.base import Engine, Job
from search_space.architecture import Architecture
from tests.nas.engines.victims import EXITS, FORKS, RAISES

B0 = Architecture.load("efficientnet-b0")
ENGINES = [
    pytest.param(("--engine", "local"), id="local"),
    pytest.param(("--engine", "ray", "--workers", "2"), id="ray", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, start_engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with start_engine(tmp_path_factory.mktemp("victims"), *request.param) as engine:
        yield engine


def job(trial: int, seed: int | None = None, fidelity: int = 1) -> Job:
    return Job(trial=trial, architecture=B0, seed=trial if seed is None else seed, fidelity=fidelity)


def test_every_job_is_finished_once(engine: Engine) -> None:
    results = list(engine.run([job(n) for n in range(20)]))
    assert sorted(trial for trial, _ in results) == list(range(20))
    for trial, evaluation in results:
        accuracy = trial / 1000
        assert evaluation == Evaluation(
            status="ok", accuracy=accuracy, curve=(accuracy, 0.1), losses=(1.5,), seconds=0.25
        )


def test_no_jobs_no_results(engine: Engine) -> None:
    assert list(engine.run([])) == []


def test_an_exception_is_recorded_with_its_reason_and_the_rest_goes_on(engine: Engine) -> None:
    results = dict(engine.run([job(1, RAISES), job(2), job(3, RAISES + 1), job(4)]))
    assert [results[n].status for n in (1, 2, 3, 4)] == ["failed", "ok", "failed", "ok"]
    assert results[1].reason == "RuntimeError: no such kernel"


def test_fidelity_reaches_the_evaluator(engine: Engine) -> None:
    results = dict(engine.run([job(1), job(2, fidelity=4)]))
    assert (results[1].curve[1], results[2].curve[1]) == (0.1, 0.4)


def test_jobs_are_taken_as_workers_come_free(engine: Engine) -> None:
    taken = 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield job(number % 100)

    run = engine.run(endless())
    for _ in range(5):
        next(run)
    assert taken <= 10
    run.close()  # type: ignore[attr-defined]


def test_an_abandoned_run_leaves_nothing_for_the_next(engine: Engine) -> None:
    run = engine.run([job(n) for n in range(8)])
    next(run)
    run.close()  # type: ignore[attr-defined]
    assert sorted(trial for trial, _ in engine.run([job(n) for n in range(50, 58)])) == list(range(50, 58))


def test_a_job_that_depends_on_results_gets_them(engine: Engine) -> None:
    seen: list[int] = []

    def chain() -> Iterator[Job]:
        for number in range(10):
            assert number < 5 or seen, "results were withheld"
            yield job(number)

    for trial, _ in engine.run(chain()):
        seen.append(trial)
    assert sorted(seen) == list(range(10))


def test_what_the_evaluator_says_of_itself_is_known(engine: Engine) -> None:
    assert engine.describe() == {"victim": True}


def test_an_evaluator_that_exits_or_forks_costs_no_other_job(engine: Engine) -> None:
    results = dict(engine.run([job(1, EXITS), job(2), job(3, FORKS), job(4)]))
    assert (results[1].status, results[1].reason) == ("failed", "SystemExit: 3")
    assert [results[n].status for n in (2, 3, 4)] == ["ok", "ok", "ok"]
