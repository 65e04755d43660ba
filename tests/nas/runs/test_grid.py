from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from nas.engines.local import LocalEngine
from nas.grid import config as grid_config
from nas.grid.ways import WAYS
from nas.journal import read
from nas.runs.grid import ComparisonRun, GridRun, ScalingRun
from nas.runs.record import load
from search_space.architecture import Architecture
from search_space.errors import InputError, NasError
from search_space.seeding import derive_seed
from tests.nas.grid.test_comparison import COMPARED
from tests.nas.grid.test_comparison import settings as study
from tests.toys import SteadyEvaluator, ToyConfig, ToyEvaluator

B0 = Architecture.load("efficientnet-b0")


def test_a_grid_leaves_its_files_and_goes_on_from_them(tmp_path: Path) -> None:
    small = {"step": 0.1, "rungs": [1, 2], "finalists": 1, "repeats": 2, "family": 2}
    settings = grid_config.resolve([{"name": "b0", "baseline": B0, "evaluator": "tests.toys:ToyEvaluator", **small}])
    engine = LocalEngine(ToyEvaluator(ToyConfig()))
    with GridRun(tmp_path / "run", settings) as run:
        assert run.time_baseline(engine).status == "ok"
        for trial in run.run(engine):
            if trial.number == 2:
                break
        with pytest.raises(NasError, match="no network was trained on all 2 seeds"):
            run.conclude()
    with GridRun(tmp_path / "run", settings) as again:
        assert len(again.finished) == 3
        assert list(again.run(engine))
        found = again.conclude()
    assert again.family[0] == B0
    assert len(list((tmp_path / "run" / "family").iterdir())) == len(again.family) == 3
    assert found.scores[0].candidate == found.best
    assert (tmp_path / "run" / "coefficients.yaml").is_file()


def grid(**changes: Any) -> grid_config.GridConfig:
    small = {"step": 0.1, "rungs": [1, 2], "finalists": 1, "repeats": 2, "family": 2, "name": "b0"}
    evaluator = "tests.toys:SteadyEvaluator"
    return grid_config.resolve([{"baseline": B0, "evaluator": evaluator, **small, **changes}])


def finish(run: ScalingRun) -> int:
    engine = LocalEngine(SteadyEvaluator(ToyConfig()))
    run.time_baseline(engine)
    return len(list(run.run(engine)))


def test_what_is_added_when_a_run_goes_on_is_remembered(tmp_path: Path) -> None:
    with GridRun(tmp_path / "grid", grid()) as run:
        before = finish(run)
    assert [event["event"] for event in read(tmp_path / "grid" / "journal.jsonl")].count("extended") == 0
    with GridRun(tmp_path / "grid", grid(check_phi=[2])) as run:
        added = finish(run)
        assert run.checks(run.conclude())[0].phi == 2
    assert (added % 2, added > 0) == (0, True)
    record = load(tmp_path / "grid")
    assert (record.state, record.config["check_phi"], len(record.trials)) == ("finished", [2.0], before + added)
    assert record.best_trial is not None
    assert record.best_trial.number < before  # networks of a larger phi are no match for the grid's
    with ComparisonRun(tmp_path / "study", study(ratios=[2])) as run:
        assert finish(run) == 15
    with ComparisonRun(tmp_path / "study", study(ratios=[2, 4])) as run:
        assert finish(run) == 12
        assert len(run.conclude().costs) == 2
    assert load(tmp_path / "study").state == "finished"
    assert load(tmp_path / "study").config["ratios"] == [2.0, 4.0]


def test_added_at_once_or_later_it_is_the_same_run(tmp_path: Path) -> None:
    with GridRun(tmp_path / "later", grid()) as run:
        finish(run)
    with GridRun(tmp_path / "later", grid(check_phi=[2])) as run:
        finish(run)
    with GridRun(tmp_path / "once", grid(check_phi=[2])) as run:
        finish(run)
    later, once = (
        [(t.tokens, t.key, t.evaluation.accuracy if t.evaluation else None) for t in load(tmp_path / name).trials]
        for name in ("later", "once")
    )
    assert later == once


def test_another_process_holds_the_journal(tmp_path: Path) -> None:
    with ComparisonRun(tmp_path / "study", study()), pytest.raises(InputError, match=r"[Aa]nother process"):
        ComparisonRun(tmp_path / "study", study())


def test_a_study_trains_all_networks_on_the_same_seeds_and_leaves_its_files(tmp_path: Path) -> None:
    own, seeds = study(), []

    class Watched(SteadyEvaluator):
        def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1):  # type: ignore[no-untyped-def]
            seeds.append((architecture.key, seed, fidelity))
            return super().evaluate(architecture, seed, fidelity)

    engine = LocalEngine(Watched(ToyConfig()))
    with ComparisonRun(tmp_path / "run", own) as run:
        assert run.trainings == [15, 12]
        for trial in run.run(engine):
            if trial.number == 3:
                break
        with pytest.raises(NasError, match="no two ways were trained"):
            run.conclude()
    with ComparisonRun(tmp_path / "run", own) as run:
        list(run.run(engine))
        found = run.conclude()
    assert [at.aim for at in found.costs] == [2, 4]
    paired = {derive_seed(0, "repeat", repeat) for repeat in (1, 2, 3)}
    for scaled in COMPARED.candidates:
        mine = [(seed, fidelity) for key, seed, fidelity in seeds if key == scaled.architecture.key]
        assert {seed for seed, _ in mine} == paired
        assert {fidelity for _, fidelity in mine} == {1}
        written = Architecture.load(tmp_path / "run" / "networks" / f"{scaled.name}.yaml")
        assert written == scaled.architecture
    with open(tmp_path / "run" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["trial", "way", "target_ratio"]
    assert len(rows) == 27
    first = {(row["way"], row["target_ratio"]) for row in rows[:15]}
    assert first == {("baseline", "1.0"), *((way, "2.0") for way in WAYS)}  # the larger cost comes after
