from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas import config
from nas.engines.base import Job
from nas.engines.local import LocalEngine
from nas.history import Trial
from nas.journal import read
from nas.runs.directory import JOURNAL, REFERENCE_NETWORK, TRUST
from nas.runs.record import RunRecord, load
from nas.trust import measure
from nas.trust.plan import cost, make_plan
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import NasError
from tests.runs import make_run
from tests.toys import SteadyEvaluator, ToyConfig

STEADY = "tests.toys:SteadyEvaluator"
B0 = Architecture.load(REFERENCE_NETWORK)


class Watched(LocalEngine):
    """Remembers its jobs, and may be stopped."""

    def __init__(self, error: BaseException | None = None, after: int = 0) -> None:
        super().__init__(SteadyEvaluator(ToyConfig()))
        self.jobs: list[Job] = []
        self.error, self.after = error, after

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        for job in jobs:
            if self.error and len(self.jobs) == self.after:
                raise self.error
            self.jobs.append(job)
            yield from super().run([job])


def report(run: RunRecord, budget: float, engine: Watched | None = None) -> list[str]:
    said: list[str] = []
    measure.report(run, config.resolve([run.config]), engine or Watched(), budget, said.append)
    return said


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    make_run(tmp_path / "run", evaluator=STEADY)
    return load(tmp_path / "run")


def test_the_shared_loss_is_a_bar_as_what_is_free(tmp_path: Path) -> None:
    make_run(tmp_path / "run", evaluator=STEADY, shared_loss=lambda network: 1 - int(network.key, 16) % 7 / 7)
    assert "MACs alone: " in (text := report(load(tmp_path / "run"), 4.0)[1])
    assert "; the shared loss alone: " in text


def plan_of(run: RunRecord, budget: float) -> Any:
    accuracies = [measure.accuracy(trial) for trial in run.trials]
    rewards = [trial.reward or 0.0 for trial in run.trials]
    assert run.best_trial is not None
    return make_plan(accuracies, rewards, budget * len(run.trials), run.best_trial.number)


def test_what_is_trained_and_said(run: RunRecord) -> None:
    engine, planned = Watched(), plan_of(run, 4.0).proposals()
    announced, text = report(run, 4.0, engine)
    seconds = round(cost(planned))
    assert announced == f"Trust report: {len(planned)} trainings, about {seconds} s (400% of the search's 24 s)"
    assert (run.path / TRUST).read_text() == f"Trust report after 24 trials\n{text}\n"
    assert "This answer is worth something" in text.splitlines()[-1]
    networks = [B0, *(run.architecture(trial) for trial in run.trials)]
    assert run.best_trial is not None
    _, networks[0] = measure.reference_for(run, config.resolve([run.config]), run.best_trial.macs)
    assert [(job.architecture, job.fidelity) for job in engine.jobs] == [
        (networks[place], 4 if length else 1) for place, length, _ in planned
    ]
    seeds = {(job.seed, repeat) for job, (_, _, repeat) in zip(engine.jobs, planned, strict=True)}
    assert len(seeds) == len({repeat for _, _, repeat in planned})  # one seed for all trainings of a repeat


def test_a_report_goes_on_where_another_ended(run: RunRecord) -> None:
    stopped = Watched(KeyboardInterrupt(), after=5)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        measure.report(run, config.resolve([run.config]), stopped, 4.0, said.append)
    assert said[1] == f"Stopped; nothing finished is lost. To go on: nas-trust {run.path} --trust-code"
    whole = report(run, 4.0)
    assert whole[0].startswith(f"Trust report: {len(plan_of(run, 4.0).proposals()) - 5} trainings")
    again = Watched()
    assert report(run, 4.0, again)[0].startswith("Trust report: 0 trainings, about 0 s")
    assert again.jobs == []
    finished = [row for row in read(run.path / "trust" / "24" / JOURNAL) if row["event"] == "finished"]
    assert len(finished) == len(plan_of(run, 4.0).proposals())


def test_trainings_that_take_longer_end_at_the_budget_and_do_not_begin_again(
    run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "OVERRUN", 0.25)  # of 96 s: 24 s
    engine = Watched()
    said = report(run, 4.0, engine)
    assert said[1] == "Stopped at the budget: trainings took longer than in the search"
    assert 24 < sum(job.fidelity for job in engine.jobs) <= 28
    again = Watched()
    assert len(report(run, 4.0, again)) == 2
    assert again.jobs == []


def test_what_is_missing_has_a_budget_that_reaches_it(run: RunRecord) -> None:
    more = f"to measure more: nas-trust {run.path} --trust-code --budget 542%"
    small = Watched()
    assert report(run, 0.1, small) == [f"Trust: not measured, 10% of 24 trainings is too little; {more}"]
    assert small.jobs == []
    assert not (run.path / TRUST).exists()
    assert report(run, 1.0)[-1].endswith(f"({more}).")
    assert "to measure more" not in report(run, 5.42)[-1]


def test_what_cannot_be_reported(tmp_path: Path) -> None:
    make_run(tmp_path / "two", stop_after=2, evaluator=STEADY)
    with pytest.raises(NasError, match="2 networks with an accuracy; a trust report needs 3"):
        report(load(tmp_path / "two"), 1.0)
    make_run(tmp_path / "table", evaluator="tests.toys:LookedUp")
    with pytest.raises(NasError, match=r"evaluator tests\.toys:LookedUp trains nothing"):
        report(load(tmp_path / "table"), 1.0)
    said: list[str] = []
    for name in ("two", "table"):
        record = load(tmp_path / name)
        measure.after_search(record, config.resolve([record.config]), Watched(), 1.0, said.append)
    assert said == []


def test_after_a_search_a_report_that_fails_is_a_line(run: RunRecord) -> None:
    said: list[str] = []
    broken = Watched(NasError("the cluster is gone"))
    measure.after_search(run, config.resolve([run.config]), broken, 1.0, said.append)
    assert said[-1] == "No trust report: the cluster is gone"
    assert not (run.path / TRUST).exists()
    measure.after_search(run, config.resolve([run.config]), Watched(), 1.0, said.append)
    assert (run.path / TRUST).exists()


def test_at_chance_nothing_is_trained(run: RunRecord) -> None:
    run.history.described = {"majority_share": 0.9, "validation_images": 100}
    engine = Watched()
    (text,) = report(run, 4.0, engine)
    assert text.startswith("This answer is worth nothing: accuracies, ")
    assert engine.jobs == []
    assert (run.path / TRUST).read_text() == f"Trust report after 24 trials\n{text}\n"


def test_latency_is_not_part_of_what_is_compared() -> None:
    timed = Evaluation(status="ok", accuracy=0.5, latency_ms=40.0)
    trial = Trial(number=0, tokens=(0,), key="a", macs=400_000_000, params=1, evaluation=timed, reward=0.4)
    settings = config.resolve([{"target_flops": "400M"}])
    assert measure.scored(trial, settings) == 0.4
    own = dataclasses.replace(settings.objective, target_latency_ms=20.0)
    assert measure.scored(trial, dataclasses.replace(settings, objective=own)) == 0.5


def test_the_reference_costs_no_less_than_the_winner(run: RunRecord) -> None:
    settings = config.resolve([run.config])
    for macs in (30_000_000, 100_000_000, 200_000_000, 1_000_000_000):
        name, reference = measure.reference_for(run, settings, macs)
        assert name == REFERENCE_NETWORK
        assert 1 <= count(reference).macs / macs < 1.1
    assert measure.reference_for(run, settings, 380_000_000) == (REFERENCE_NETWORK, B0)
