"""W&B and MLflow, the real libraries without a network, after a search on the local engine and on two workers."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.commands import search
from nas.runs.loggers.trackers import INSTALL
from nas.runs.record import load

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


def recorded(file: Path) -> Iterator[Any]:
    """The records of a W&B file: LevelDB's log format after a header of 7 bytes, a protocol buffer each."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32_768 - at % 32_768  # of the block
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or its last part
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("engine", [["--engine", "local"], ["--workers", "2"]], ids=["local", "workers"])
def test_wandb_has_a_run_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: list[str]) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "mine"
    assert search.main([*ARGV, *engine, "--callback", "wandb", "--run-dir", str(run)]) == 0
    found = {}
    for file in (run / "tune").glob("wandb/offline-run-*/*.wandb"):
        records = {record.WhichOneof("record_type"): record for record in recorded(file)}
        begun = records["run"].run
        assert begun.run_group == "mine"
        numbers = {item.nested_key[0]: json.loads(item.value_json) for item in records["history"].history.item}
        chosen = {update.key: json.loads(update.value_json) for update in begun.config.update}
        found[begun.display_name] = (numbers, chosen, records["exit"].exit.exit_code)
    trials, space = load(run).trials, load(run).space
    assert space is not None
    assert sorted(found) == [f"mine-{trial.number:05d}" for trial in trials]
    for trial in trials:
        assert trial.evaluation is not None
        numbers, chosen, code = found[f"mine-{trial.number:05d}"]
        assert (numbers["macs"], numbers.get("accuracy")) == (trial.macs, trial.evaluation.accuracy)
        assert numbers.get("reward") == (trial.reward if trial.ok else None)
        assert code == (0 if trial.ok else 1)
        for decision, token in zip(space.decisions, trial.tokens, strict=True):
            assert chosen[decision.name] == decision.choices[token]


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("mlflow", "mlflow.tracking")])
def test_a_library_that_is_missing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert search.main([*ARGV, "--callback", name, "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.endswith(f"--callback {name}: not installed; {INSTALL}\n")
    assert not (tmp_path / "run").exists()
