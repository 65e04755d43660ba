from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nas import config
from nas.config import SearchConfig
from nas.history import Trial
from nas.journal import read
from nas.runs.deployment import load_space
from nas.runs.directory import REFERENCE_NETWORK
from nas.runs.search import StudyRun
from search_space.architecture import Architecture
from search_space.errors import InputError, NasError
from tests.toys import ToyConfig, ToyEvaluator


def settings(**changes: object) -> SearchConfig:
    base = {"target_flops": "400M", "controller": "random", "evaluator": "tests.toys:ToyEvaluator", "trials": 6}
    return config.resolve([base, changes])


def test_a_search_leaves_its_files_and_goes_on_from_them(tmp_path: Path) -> None:
    seen: list[Trial] = []
    with StudyRun(tmp_path / "run", settings(batch=2)) as run:
        assert run.optimize(on_trial=seen.append) == run.best_trial
    assert [trial.number for trial in seen] == list(range(6))
    assert {path.name for path in run.path.iterdir()} >= {"best.yaml", "top", "trials.csv", "config.yaml"}
    assert Architecture.load(run.path / "best.yaml") == run.best_architecture
    assert REFERENCE_NETWORK in run.references
    with StudyRun(tmp_path / "run", settings(batch=2)) as again:
        assert again.trials == run.trials
        again.optimize(trials=8)
    assert len(again.finished) == 8


def test_an_abandoned_search_is_exported_as_far_as_it_came(tmp_path: Path) -> None:
    with StudyRun(tmp_path / "run", settings()) as run:
        for trial in run.run(_engine()):
            if trial.number == 3:
                break
    assert len((tmp_path / "run" / "trials.csv").read_text().splitlines()) == 1 + 4


def _engine():  # type: ignore[no-untyped-def]
    from nas.engines.local import LocalEngine

    return LocalEngine(ToyEvaluator(ToyConfig()))


def test_trials_that_are_told_are_exported(tmp_path: Path) -> None:
    with StudyRun(tmp_path / "run", settings()) as run:
        trial = run.ask()
        assert trial is not None
        assert run.tell(trial, 0.75).reward == run.best_trial.reward  # type: ignore[union-attr]
        second = run.ask()
        assert second is not None
        assert run.tell(second.number, failure="no memory").evaluation.reason == "no memory"  # type: ignore[union-attr]
        with pytest.raises(InputError, match="reason must be given where the status is not ok"):
            run.tell(run.ask() or 0)
    assert (tmp_path / "run" / "best.yaml").is_file()
    assert [event["event"] for event in read(tmp_path / "run" / "journal.jsonl")] == [
        "run", "proposed", "finished", "finished"
    ]  # fmt: skip


def test_a_target_outside_the_space_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is outside the space"):
        StudyRun(tmp_path / "run", settings(target_flops="4T"))
    assert not (tmp_path / "run").exists()
    assert load_space(settings()).name == "efficientnet"


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    with StudyRun(tmp_path / "run", settings()), pytest.raises(InputError, match="another process is writing"):
        StudyRun(tmp_path / "run", settings())


def test_links_inside_a_run_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "01.yaml").write_text("precious")
    with StudyRun(tmp_path / "run", settings()) as run:
        (run.path / "top").symlink_to(outside)
        with pytest.raises(InputError, match="top: is a link"):
            run.optimize()
    assert (outside / "01.yaml").read_text() == "precious"


def test_a_run_directory_that_vanishes_ends_the_search_and_loses_nothing_finished(tmp_path: Path) -> None:
    with StudyRun(tmp_path / "run", settings()) as run, pytest.raises(NasError, match="was deleted or replaced"):
        run.optimize(on_trial=lambda trial: shutil.rmtree(run.path) if trial.number == 3 else None)
    assert len((tmp_path / "run" / "trials.csv").read_text().splitlines()) == 1 + 4
    assert (tmp_path / "run" / "best.yaml").is_file()


def test_states_are_not_kept_in_a_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="weights: is a link"):
        StudyRun(tmp_path / "run", settings(evaluator="proxy", promote=2))
