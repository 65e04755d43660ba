from __future__ import annotations

import importlib.util
import shutil
import time
from pathlib import Path

import pytest

from nas.commands import search
from nas.runs.loggers.tensorboard import Curves
from nas.runs.record import load

ARGV = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--tensorboard"]
ROW = {
    "epoch": 2,
    "loss": 1.25,
    "learning_rate": 0.1,
    "validation_accuracy": 0.5,
    "validation_loss": 1.0,
    "images_per_sec": 100.0,
    "seconds": 3.0,
}


@pytest.fixture
def no_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))


def test_scalars_are_the_journals(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    argv = [*ARGV, "--run-dir", str(run), "--set", "evaluator.fail_every=3"]
    assert search.main([*argv, "--trials", "16"]) == 0
    assert search.main([*argv, "--trials", "24", "--resume", "--trust-code"]) == 0
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    record = load(run)
    assert not all(trial.ok for trial in record.trials)
    scalars = {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
    assert scalars["trial/reward"] == {t.number: pytest.approx(t.reward) for t in record.trials if t.ok}
    assert scalars["trial/macs"] == {t.number: pytest.approx(t.macs) for t in record.trials}
    assert scalars["controller/entropy"] == {i: pytest.approx(s["entropy"]) for i, s in enumerate(record.signals)}
    assert record.best_trial is not None
    assert scalars["trial/best_reward"][23] == pytest.approx(record.best_trial.reward)


@pytest.mark.usefixtures("no_tensorboard")
def test_a_search_without_tensorboard_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search.main([*ARGV, "--run-dir", str(tmp_path / "run"), "--controller", "random"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("--tensorboard: not installed; pip install 'nas-b0[tensorboard]'\n")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_curves_of_a_training_that_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for done, accuracies in ((0, {1: 0.25, 2: 0.5}), (1, {2: 0.75})):
        time.sleep(1.1 * done)  # files of one process and one second are read in the order of "9" and "10"
        curves = Curves(tmp_path, done)
        for epoch, accuracy in accuracies.items():
            curves.add({**ROW, "epoch": epoch, "validation_accuracy": accuracy})
        curves.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("validation_accuracy")] == [(1, 0.25), (2, 0.75)]


@pytest.mark.usefixtures("no_tensorboard")
def test_a_training_without_tensorboard_has_no_curves_and_says_so(tmp_path: Path) -> None:
    curves = Curves(tmp_path, 0)
    curves.add(ROW)
    curves.close()
    assert curves.missing == "no TensorBoard curves: pip install 'nas-b0[tensorboard]'"
    assert list(tmp_path.iterdir()) == []


def test_scalars_are_written_to_no_folder_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboard")
    run, outside = tmp_path / "run", tmp_path / "outside"
    argv = [*ARGV, "--controller", "random", "--batch", "2", "--run-dir", str(run)]
    outside.mkdir()
    assert search.main([*argv, "--trials", "2"]) == 0
    shutil.rmtree(run / "tensorboard")
    (run / "tensorboard").symlink_to(outside)
    assert search.main([*argv, "--trials", "4", "--resume", "--trust-code"]) == 2
    assert "tensorboard: is a link; a run's files are written only where they stand" in capsys.readouterr().err
    assert list(outside.iterdir()) == []
