import importlib.util
from pathlib import Path

import pytest

from nas import search
from nas.run_record import load

ARGV = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--tensorboard"]


def test_scalars_are_the_journals(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    argv = [*ARGV, "--run-dir", str(run), "--set", "evaluator.fail_every=3"]
    assert search.main([*argv, "--trials", "16"]) == 0
    assert search.main([*argv, "--trials", "24", "--resume"]) == 0
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    record = load(run)
    assert not all(trial.ok for trial in record.trials)
    scalars = {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
    assert scalars["trial/reward"] == {t.number: pytest.approx(t.reward) for t in record.trials if t.ok}
    assert scalars["trial/macs"] == {t.number: pytest.approx(t.macs) for t in record.trials}
    assert scalars["controller/entropy"] == {i: pytest.approx(s["entropy"]) for i, s in enumerate(record.signals)}
    assert record.best is not None
    assert scalars["trial/best_reward"][23] == pytest.approx(record.best.reward)


def test_without_tensorboard_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    assert search.main([*ARGV, "--run-dir", str(tmp_path / "run"), "--controller", "random"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("--tensorboard: not installed; pip install nas-b0[tensorboard]\n")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
