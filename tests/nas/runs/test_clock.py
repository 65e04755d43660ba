from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.base import Evaluation
from nas import config
from nas.engines.local import LocalEngine
from nas.journal import read
from nas.runs.clock import Clock
from nas.runs.record import load
from nas.runs.search import StudyRun
from nas.runs.time_plan import AIM, Plan, Reserve
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.toys import ToyConfig, ToyEvaluator

SECONDS = 1000.0
SMALL = "format: nas-space/1\nname: small\nreference: efficientnet-b0\nblocks: {block1: {layers: [1, 2]}}\n"
"""A space of two networks."""


class Time:
    """A clock that stands still until a training moves it on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(ToyEvaluator):
    """Trainings of so many seconds."""

    def __init__(self, clock: Time, seconds: float) -> None:
        super().__init__(ToyConfig())
        self.clock, self.seconds = clock, seconds

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        self.clock.now += self.seconds
        accuracy = super().evaluate(architecture, seed, fidelity).accuracy
        return Evaluation(status="ok", accuracy=accuracy, seconds=self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr("nas.runs.search.Clock", functools.partial(Clock, now=found))
    return found


def begin(path: Path, clock: Time, trials: int = 20, **changes: object) -> StudyRun:
    """A run of 1000 s, planned for trials of 40 s."""
    said = {"target_flops": "400M", "controller": "random", "evaluator": "tests.toys:ToyEvaluator", "batch": 4}
    settings = config.resolve([said, {"trials": trials, "time": SECONDS, **changes}])
    plan = {"trials": trials, "epochs": 1, "images": 1, "seconds": 40.0, "workers": 1}
    reserve = Reserve(reference=1, trust=0.2)
    return StudyRun(path, settings, (), Plan(open=trials == 20, reserve=reserve, **plan), clock.now)  # type: ignore[arg-type]


def search(run: StudyRun, clock: Time, seconds: float, stop_after: int | None = None) -> int:
    """Number of the run's trials, whatever ended it."""
    with run:
        for trial in run.run(LocalEngine(Slow(clock, seconds))):
            if trial.number == stop_after:
                break
    return len(run.finished)


def test_trainings_as_planned_fill_the_time(tmp_path: Path, clock: Time) -> None:
    assert search(begin(tmp_path / "run", clock), clock, 40) == 16
    assert clock.now + 0.2 * 16 * 40 <= AIM * SECONDS  # with the trust report
    record = load(tmp_path / "run")
    assert record.state == "finished"
    assert (record.history.ended, record.history.worked) == (16, clock.now)
    assert record.history.plan["seconds"] == 40


def test_slow_trainings_end_the_search_early_and_quick_ones_add_to_it(tmp_path: Path, clock: Time) -> None:
    assert search(begin(tmp_path / "slow", clock), clock, 80) == 8
    clock.now = 0
    assert search(begin(tmp_path / "quick", clock), clock, 10) == 76
    assert clock.now + 0.2 * 76 * 10 <= AIM * SECONDS
    networks = [[trial.key for trial in load(tmp_path / name).trials] for name in ("slow", "quick")]
    assert networks[0] == networks[1][:8]


def test_trials_that_the_user_said_are_not_added_to(tmp_path: Path, clock: Time) -> None:
    assert search(begin(tmp_path / "run", clock, trials=8), clock, 10) == 8
    assert load(tmp_path / "run").state == "finished"


def test_a_first_batch_is_tried_whatever_it_takes(tmp_path: Path, clock: Time) -> None:
    assert search(begin(tmp_path / "run", clock), clock, 5000) == 4


def test_the_work_of_all_processes_counts(tmp_path: Path, clock: Time) -> None:
    assert search(begin(tmp_path / "run", clock), clock, 40, stop_after=9) == 10
    clock.now = 7e6  # nobody works on it for weeks
    again = begin(tmp_path / "run", clock)
    assert again.clock is not None
    assert again.clock.worked == 400
    assert search(again, clock, 40) == 16
    assert load(tmp_path / "run").history.worked == pytest.approx(17 * 40)  # with the reference
    whole = begin(tmp_path / "whole", clock)
    search(whole, clock, 40)
    assert [trial.key for trial in whole.trials] == [trial.key for trial in again.trials]


def test_more_time_goes_on_where_the_time_was_over(tmp_path: Path, clock: Time) -> None:
    assert search(begin(tmp_path / "run", clock), clock, 40) == 16
    assert search(begin(tmp_path / "run", clock), clock, 40) == 16
    assert search(begin(tmp_path / "run", clock, time=2 * SECONDS), clock, 40) == 36


def test_a_search_ends_where_only_known_networks_are_left(tmp_path: Path, clock: Time) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    trials = search(begin(tmp_path / "run", clock, space=str(path), target_flops="388M"), clock, 1)
    assert trials <= 24
    assert len({trial.key for trial in load(tmp_path / "run").trials}) == 2


def test_time_is_noted_while_a_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.runs.clock.LEAST_SECS", 0.01)
    with begin(tmp_path / "run", Time(), time=1.0) as run:
        clock = run.clock
        assert clock is not None
        while run.history.worked < 0.05:
            time.sleep(0.01)
    before = len(list(read(run.path / "journal.jsonl")))
    time.sleep(0.05)
    assert len(list(read(run.path / "journal.jsonl"))) == before  # a closed clock is silent
    clock.close()


def test_how_much_still_fits(tmp_path: Path, clock: Time) -> None:
    with begin(tmp_path / "run", clock) as run:
        assert run.clock is not None
        clock.now = 150
        assert run.clock.each() == 40
        assert run.clock.trainings_left() == pytest.approx((AIM * SECONDS - 150) / 40)
        run.clock.plan = replace(run.clock.plan, reserve=Reserve(final=5))
        assert run.clock.trainings_left() == pytest.approx((AIM * SECONDS - 150) / 40 - 5)
        clock.now = 2 * SECONDS
        assert run.clock.trainings_left() == 0


def test_a_plan_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator", "time": "1m"}])
    with pytest.raises(InputError, match=r"journal.jsonl, plan: missing key 'trials'"):
        StudyRun(tmp_path / "run", settings)


def test_it_says_whether_trainings_still_end_in_time(tmp_path: Path, clock: Time) -> None:
    with begin(tmp_path / "run", clock) as run:
        assert run.clock is not None
        clock.now = 700.0
        run.clock.workers = 2
        assert run.clock.fits(5, 100.0)  # three rounds
        assert not run.clock.fits(7, 100.0)
