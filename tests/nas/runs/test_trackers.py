"""W&B and MLflow, the real libraries without a network, after a search on the local engine and on two workers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from nas.commands import search
from nas.runs.record import load
from nas.runs.trackers import INSTALL

ARGV = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--set", "evaluator.fail_every=3"]
ARGV += ["--trials", "4", "--batch", "2", "--quiet"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the libraries' own
@pytest.mark.parametrize("engine", [["--engine", "local"], ["--workers", "2"]], ids=["local", "workers"])
def test_mlflow_has_a_run_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: list[str]) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs more packages
    run = tmp_path / "mine"
    assert search.main([*ARGV, *engine, "--callback", "mlflow", "--run-dir", str(run)]) == 0
    client = tracking.MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    trials, space = load(run).trials, load(run).space
    assert space is not None
    by_name = {entry.info.run_name: entry for entry in found}
    assert sorted(by_name) == [f"mine-{trial.number:05d}" for trial in trials]
    for trial in trials:
        assert trial.evaluation is not None
        entry = by_name[f"mine-{trial.number:05d}"]
        assert entry.info.status == ("FINISHED" if trial.ok else "FAILED")
        assert entry.data.metrics["macs"] == trial.macs
        assert entry.data.metrics.get("accuracy") == trial.evaluation.accuracy
        assert entry.data.metrics.get("reward") == (trial.reward if trial.ok else None)
        assert entry.data.tags["status"] == trial.evaluation.status
        chosen = {d.name: str(d.choices[t]) for d, t in zip(space.decisions, trial.tokens, strict=True)}
        assert entry.data.params == chosen


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("engine", [["--engine", "local"], ["--workers", "2"]], ids=["local", "workers"])
def test_wandb_has_a_run_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: list[str]) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "mine"
    assert search.main([*ARGV, *engine, "--callback", "wandb", "--run-dir", str(run)]) == 0
    summaries = [json.loads(file.read_text()) for file in (run / "tune").glob("wandb/*/files/wandb-summary.json")]
    by_macs = {summary["macs"]: summary for summary in summaries}
    trials = load(run).trials
    assert len(summaries) == len(trials) == 4
    for trial in trials:
        assert trial.evaluation is not None
        assert by_macs[trial.macs]["status"] == trial.evaluation.status
        assert by_macs[trial.macs].get("accuracy") == trial.evaluation.accuracy
    assert len(list((run / "tune").glob("wandb/*/*.wandb"))) == 4


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("mlflow", "mlflow.tracking")])
def test_a_library_that_is_missing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert search.main([*ARGV, "--callback", name, "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.endswith(f"--callback {name}: not installed; {INSTALL}\n")
    assert not (tmp_path / "run").exists()
