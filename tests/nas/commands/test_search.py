from __future__ import annotations

import csv
import dataclasses
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas.commands.search import main
from nas.journal import read, seal
from nas.runs.directory import is_blank
from nas.runs.record import load
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from tests import forks
from tests.runs import trainings
from tests.toys import ToyEvaluator

ROOT = Path(__file__).parents[3]
TOY = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--trials", "8", "--batch", "4", "--quiet"]
COMMAND = [sys.executable, "-c", "from nas.commands.search import main; raise SystemExit(main())"]
SUBPROCESS = {**os.environ, "PYTHONPATH": str(ROOT)}


def events(run: Path) -> list[dict[str, Any]]:
    """The journal, times aside."""
    rows = list(read(run / "journal.jsonl"))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    return rows


def test_a_search_leaves_a_run_directory_that_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main([*TOY, "--run-dir", str(run)]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("efficientnet-b0", "mobilenet-v2", "mnasnet-a1"))
    assert f"{run / 'best.yaml'}" in out
    best = Architecture.load(run / "best.yaml")
    assert sum(p.numel() for p in build_model(best).parameters()) == count(best).params
    assert (run / "top" / "01.yaml").read_text() == (run / "best.yaml").read_text()
    assert len(list((run / "top").iterdir())) == 5
    assert len((run / "trials.csv").read_text().splitlines()) == 9
    rewards = [row["reward"] for row in events(run) if row["event"] == "finished"]
    assert f"reward: {max(rewards)}" in (run / "best.yaml").read_text()


def test_the_same_seed_gives_the_same_journal_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main([*TOY, "--seed", seed, "--run-dir", str(tmp_path / name)]) == 0
    assert events(tmp_path / "a") == events(tmp_path / "b")
    assert events(tmp_path / "a")[1:] != events(tmp_path / "c")[1:]


def test_the_saved_config_repeats_the_search(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert main([*TOY, "--objective", "hard", "--controller", "evolution", "--run-dir", str(a)]) == 0
    assert main(["--config", str(a / "config.yaml"), "--quiet", "--run-dir", str(b)]) == 0
    assert (a / "config.yaml").read_text() == (b / "config.yaml").read_text()
    assert events(a) == events(b)


def test_resume_goes_on_and_may_only_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, whole = str(tmp_path / "run"), str(tmp_path / "whole")
    assert main([*TOY, "--run-dir", run]) == 0
    assert main(["--run-dir", run, "--resume", "--trust-code", "--quiet", "--trials", "16"]) == 0
    assert main([*TOY, "--run-dir", whole, "--trials", "16"]) == 0
    trials = [[row for row in events(Path(path)) if row["event"] == "finished"] for path in (run, whole)]
    assert trials[0] == trials[1]
    capsys.readouterr()
    assert main(["--run-dir", run, "--resume", "--trust-code", "--trials", "4"]) == 2
    assert "a run can only grow" in capsys.readouterr().err
    assert main(["--run-dir", run, "--resume", "--trust-code", "--seed", "5", "--space", "mnasnet"]) == 2
    assert "begun with other settings: seed 0, not 5; space efficientnet, not mnasnet" in capsys.readouterr().err


class Slow(ToyEvaluator):
    """Says that it takes minutes, and five times as many as it said before."""

    is_lookup = False

    def estimate(self, architecture: Architecture, seed: int) -> float:
        return 40.0

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        return dataclasses.replace(super().evaluate(architecture, seed, fidelity), seconds=200.0)


def test_a_search_by_time_plans_and_ends_early_where_it_must(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, slow = str(tmp_path / "run"), ["--evaluator", f"{__name__}:Slow", "--engine", "local"]
    assert main(["--target-flops", "400M", *slow, "--time", "37m", "--run-dir", run]) == 0
    out = capsys.readouterr().out
    assert "Plan for 37:00: 40 networks, about 40.0 s each, on one worker" in out
    assert "Kept for what follows: reference networks 2:00, the trust report 5:20" in out
    assert re.search(r"\n16 of 40 planned trials; 0:\d\d of 37:00 worked\n", out)
    header, *rest = events(tmp_path / "run")
    assert (header["config"]["time"], header["config"]["trials"], header["plan"]["trials"]) == (2220.0, 40, 40)
    assert {"event": "ended", "trials": 16} in rest
    resume = ["--run-dir", run, "--resume", "--trust-code", "--quiet", "--engine", "local"]
    assert main(resume) == 0
    assert main([*resume, "--time", "60m"]) == 0
    assert "48 trials, 40 were planned; " in capsys.readouterr().out
    assert main([*resume, "--time", "20m"]) == 2
    assert "--time 1200s: " in capsys.readouterr().err
    assert main([*TOY, "--run-dir", str(tmp_path / "other")]) == 0
    assert main(["--run-dir", str(tmp_path / "other"), "--resume", "--trust-code", "--time", "1h"]) == 2
    assert "was begun without; a run can only grow" in capsys.readouterr().err


def test_every_candidate_failing_ends_with_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--set", "evaluator.fail_every=1", "--run-dir", str(tmp_path / "run")]) == 1
    assert "no network could be evaluated in 8 trials (the first: failed: RuntimeError" in capsys.readouterr().err


def test_a_dry_run_shows_the_plan_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--dry-run", "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    for part in ("target_flops: 400000000", "43 decisions", "MACs of 2,000 random networks", "8 trials take about"):
        assert part in out
    assert list(tmp_path.iterdir()) == []


def _start(run: Path, *extra: str) -> subprocess.Popen[bytes]:
    arguments = ["--run-dir", str(run), *extra]
    return subprocess.Popen(
        [*COMMAND, *arguments], env=SUBPROCESS, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_second_process_on_a_run_is_refused_and_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = _start(run, *TOY, "--trials", "1000", "--set", "evaluator.sleep=0.05")
    journal = run / "journal.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"finished") < 2:
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    second = _start(run, "--resume", "--trust-code")
    _, error = second.communicate(timeout=600)
    assert second.returncode == 2
    assert b"another process is writing to this run" in error
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=600)
    assert first.returncode == 130
    assert f"nas-search --run-dir {run} --resume --trust-code".encode() in out
    assert (run / "best.yaml").exists()


def test_a_run_that_grew_goes_on_as_far_as_it_was_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert main([*TOY, "--trials", "4", "--run-dir", str(run)]) == 0

    def interrupted(self: ToyEvaluator, *rest: Any) -> Evaluation:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ToyEvaluator, "evaluate", interrupted)
        assert main(["--run-dir", str(run), "--resume", "--trials", "16", "--quiet", "--trust-code"]) == 130
    said = capsys.readouterr().out.splitlines()[-1].split()
    assert said == ["nas-search", "--run-dir", str(run), "--resume", "--set", "trials=16", "--trust-code"]
    assert main([*said[1:], "--quiet"]) == 0
    assert trainings(run) == 16


def test_published_trainings_are_searched_in_their_space(
    few_trees: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--target-flops", "400M", "--evaluator", "imagenet", "--trials", "12", "--quiet"]
    assert main([*flags, "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "efficientnet-b0" in out
    assert "12 trials, 12 evaluated, 0 failed" in out
    assert "At 224 pixels and 1000 classes." in out.splitlines()[-1]
    assert "optimistic at the top" in out.splitlines()[-1]
    best = Architecture.load(tmp_path / "run" / "best.yaml")
    assert (best.resolution, best.classes) == (224, 1000)
    assert not (tmp_path / "run" / "trust").exists()


def test_a_run_on_the_archive_of_version_0_1_goes_on_with_the_packaged_table(few_trees: None, tmp_path: Path) -> None:
    flags = ["--target-flops", "400M", "--evaluator", "imagenet", "--trials", "8", "--batch", "4", "--quiet"]
    assert main([*flags, "--run-dir", str(tmp_path / "new")]) == 0
    old = list(read(tmp_path / "new" / "journal.jsonl"))
    old[0]["config"]["evaluator"] = {"name": "accel-nasbench", "preset": "default", "path": "/nowhere", "noise": 0.0}
    (tmp_path / "old").mkdir()
    sealed = [seal(event, number) for number, event in enumerate(old[:-4], 1)]
    (tmp_path / "old" / "journal.jsonl").write_bytes(b"".join(sealed))
    assert main(["--run-dir", str(tmp_path / "old"), "--resume", "--quiet"]) == 0
    ends = [[row for row in events(tmp_path / run) if row["event"] == "finished"] for run in ("new", "old")]
    assert ends[0] == ends[1]
    assert main(["--run-dir", str(tmp_path / "old"), "--resume", "--quiet"]) == 0


@pytest.mark.slow
def test_killed_at_ten_random_moments_a_run_ends_as_an_unkilled_one(tmp_path: Path) -> None:
    flags = ["--target-flops", "400M", "--trials", "24", "--batch", "4", "--quiet", "--epochs", "1"]
    flags += ["--set", "evaluator.max_images=400"]
    assert main([*flags, "--run-dir", str(tmp_path / "quiet")]) == 0
    run, moments, finished = tmp_path / "killed", random.Random(0), 0
    for kill in range(10):
        goes_on = run.exists() and not is_blank(run)
        argv = ["--resume", "--trust-code", "--quiet"] if goes_on else flags
        process = forks.start(["search", *argv, "--run-dir", str(run)], ROOT)
        # Every other kill comes after some progress, however slow the machine; the rest come while a run starts, too.
        while kill % 2 == 0 and process.is_alive() and trainings(run) <= finished:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"ended by itself after {kill} kills"
        assert trainings(run) >= finished, "a finished trial was lost"
        finished = trainings(run)
    assert main(["--run-dir", str(run), "--resume", "--trust-code", "--quiet"]) == 0
    assert events(run) == events(tmp_path / "quiet")
    assert (run / "trials.csv").read_text().count("\n") == 25


@pytest.mark.slow
def test_the_default_search_finds_a_network_on_digits(tmp_path: Path) -> None:
    """32 trials of the default, as a user runs it: real images, no network access, best.yaml builds."""
    assert main(["--target-flops", "400M", "--quiet", "--run-dir", str(tmp_path / "run")]) == 0
    rows = [row for row in events(tmp_path / "run") if row["event"] == "finished"]
    assert len(rows) == 32
    assert sum(row["evaluation"]["status"] == "ok" for row in rows) >= 30
    best = Architecture.load(tmp_path / "run" / "best.yaml")
    build_model(best)
    assert 200_000_000 <= count(best).macs <= 600_000_000


def test_a_latency_target_is_measured_journaled_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(10, 100))
    monkeypatch.setattr("evaluator.device.latency.LatencyMeter.measure", lambda self, architecture: float(next(times)))
    flags = [*TOY, "--target-latency", "20ms", "--run-dir", str(tmp_path / "run")]
    assert main(flags) == 0
    rows = [row for row in events(tmp_path / "run") if row["event"] == "finished"]
    for row in rows:
        evaluation = row["evaluation"]
        factor = (evaluation["latency_ms"] / 20) ** -0.07
        macs = next(
            t["macs"] for e in events(tmp_path / "run") for t in e.get("trials", []) if t["trial"] == row["trial"]
        )
        assert row["reward"] == pytest.approx(evaluation["accuracy"] * (macs / 400e6) ** -0.07 * factor)
    assert "latency_ms:" in (tmp_path / "run" / "best.yaml").read_text()
    before = events(tmp_path / "run")
    resume = ["--run-dir", str(tmp_path / "run"), "--resume", "--trust-code", "--quiet"]
    assert main(resume) == 0
    assert events(tmp_path / "run") == before
    assert main([*resume, "--target-latency", "30ms"]) == 2


@pytest.mark.slow
def test_a_search_by_time_that_is_killed_and_resumed_ends_in_time(tmp_path: Path) -> None:
    run, flags = tmp_path / "run", ["--target-flops", "1M", "--data", "digits", "--epochs", "1", "--engine", "local"]
    flags += ["--set", "evaluator.max_images=300"]
    begin = [*COMMAND, *flags, "--time", "1m", "--run-dir", str(run), "--quiet"]
    with subprocess.Popen(begin, env=SUBPROCESS) as killed:
        while trainings(run) < 3 and killed.poll() is None:
            time.sleep(0.05)
        killed.kill()
    before = load(run).history.worked
    time.sleep(3)  # nobody works
    start = time.monotonic()
    subprocess.run([*COMMAND, "--run-dir", str(run), "--resume", "--quiet"], env=SUBPROCESS, check=True)
    record, passed = load(run), time.monotonic() - start
    assert record.state == "finished"
    assert len(record.finished) >= 3
    assert 0 < record.history.worked - before <= passed
    assert record.history.worked <= 1.1 * 60


@pytest.mark.slow
def test_a_space_that_mixes_layers_of_resnets_and_mobilenets(tmp_path: Path) -> None:
    from tests.search_space.test_space import MIXED

    (tmp_path / "mixed.yaml").write_text(MIXED)
    argv = ["--target-flops", "1.4B", "--space", str(tmp_path / "mixed.yaml"), "--controller", "random", "--quiet"]
    argv += ["--trials", "4", "--epochs", "1", "--set", "evaluator.max_images=200", "--set", "evaluator.width=0.1"]
    assert main([*argv, "--engine", "local", "--run-dir", str(tmp_path / "run")]) == 0
    networks = [Architecture.load(path) for path in sorted((tmp_path / "run" / "top").iterdir())]
    assert {stage.op for network in networks for stage in network.stages} == {"basic", "bottleneck", "mbconv"}
    assert Architecture.load(tmp_path / "run" / "best.yaml") == networks[0]
    with open(tmp_path / "run" / "trials.csv", newline="") as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"ok"}
