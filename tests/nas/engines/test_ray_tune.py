"""Faults of workers, with real kills; and what the workers share."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.engines.base import Engine, Job
from nas.journal import read
from search_space.architecture import Architecture
from tests.nas.engines.processes import command, descendants
from tests.nas.engines.victims import DIES, DIES_ONCE, EXITS, FINE, HANGS, RAISES

ROOT = Path(__file__).parents[3]
B0 = Architecture.load("efficientnet-b0")
RAY = ("--engine", "ray", "--workers", "2")


def jobs(*seeds: int) -> list[Job]:
    return [Job(trial=number, architecture=B0, seed=seed) for number, seed in enumerate(seeds)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("victims")


@pytest.fixture(scope="module")
def engine(start_engine: Callable[..., Any], folder: Path) -> Iterator[Engine]:
    with start_engine(folder, *RAY, "--max-failures", "2", timeout=1.0) as engine:
        yield engine


@pytest.mark.slow
def test_the_evaluator_is_made_once_a_worker_and_workers_outlive_batches(engine: Engine, folder: Path) -> None:
    for _ in range(5):
        assert len(list(engine.run(jobs(*range(FINE, FINE + 8))))) == 8
    made = list(folder.glob("made-*"))
    assert len(made) <= 3  # one made to check that it can be, and one each worker


@pytest.mark.slow
def test_an_idle_engine_rests(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.engines.tune_trials import WarmWorkers

    list(engine.run(jobs(FINE)))
    steps = 0
    choose = WarmWorkers.choose_trial_to_run

    def counted(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        return choose(*arguments)

    monkeypatch.setattr(WarmWorkers, "choose_trial_to_run", counted)
    time.sleep(1)
    assert 1 < steps < 150  # 20,000 if it does not


@pytest.mark.slow
def test_finished_trials_leave_nothing_behind(engine: Any) -> None:
    from ray.tune.experiment import Trial

    for seed in (FINE, DIES, FINE):
        assert len(list(engine.run(jobs(*range(FINE, FINE + 20), seed)))) == 21
    gc.collect()
    assert sum(type(value) is Trial for value in gc.get_objects()) < 10
    folders = list(Path(engine._cluster._folder).glob("session_2*/artifacts/*/trials/*/trial-*"))
    assert 1 < len(folders) < 20  # those of trials in hand, and the errors of those that failed


@pytest.mark.slow
def test_a_killed_worker_costs_a_retry(engine: Engine, folder: Path) -> None:
    results = dict(engine.run(jobs(FINE, DIES_ONCE, FINE + 1, DIES_ONCE + 1)))
    assert [results[n].status for n in range(4)] == ["ok"] * 4
    assert len(list(folder.glob(f"died-{DIES_ONCE}"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [DIES, EXITS])
def test_what_kills_every_worker_is_recorded_as_failed(engine: Engine, seed: int) -> None:
    results = dict(engine.run(jobs(FINE, seed, FINE + 1)))
    assert [results[n].status for n in range(3)] == ["ok", "failed", "ok"]
    assert results[1].reason.startswith("its worker died 3 times: ")


@pytest.mark.slow
def test_a_hang_is_killed_from_outside(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.engines.tune_trials.GRACE_SECS", 0.5)
    results = dict(engine.run(jobs(FINE, HANGS, FINE + 1, RAISES)))
    assert [results[n].status for n in range(4)] == ["ok", "timeout", "ok", "failed"]
    assert results[1].reason == "did not stop by itself after 1 s; its worker was killed"
    assert results[1].seconds == 1


@pytest.mark.slow
def test_idle_workers_that_die_cost_nothing(engine: Engine, folder: Path) -> None:
    list(engine.run(jobs(*range(FINE, FINE + 4))))
    for path in folder.glob("made-*"):
        pid = int(path.name.split("-")[1])
        if b"ray::" in command(pid):
            os.kill(pid, signal.SIGKILL)
    assert sorted(trial for trial, _ in engine.run(jobs(*range(FINE, FINE + 4)))) == list(range(4))


@pytest.mark.slow
def test_an_evaluator_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    victim = ["--evaluator", "tests.nas.engines.victims:Victim", "--set", f"evaluator.folder={tmp_path}"]
    process = start(run, *RAY, *victim, "--set", "evaluator.refuse=no such data")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.splitlines() == ["-c: no such data"]
    assert not run.exists()


def search(run: Path, *flags: str, sleep: float = 0.0) -> list[str]:
    code = "from nas.commands.search import main; raise SystemExit(main())"
    fixed = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--run-dir", str(run)]
    return [sys.executable, "-c", code, *fixed, "--set", f"evaluator.sleep={sleep}", *flags]


def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(search(*arguments, **options), cwd=ROOT, env=environment, **pipes)


def events(run: Path) -> list[dict[str, Any]]:
    """What a journal says, in trial order within a batch, times aside."""
    rows = list(read(run / "journal.jsonl"))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    place = 0
    keyed = []
    for row in rows:
        place += row["event"] != "finished"
        keyed.append((place, row.get("trial", -1), row))
    return [row for _, _, row in sorted(keyed, key=lambda item: item[:2])]


def same_journals(tmp_path: Path, names: dict[str, tuple[str, ...]], *flags: str) -> None:
    for name, engine in names.items():
        process = start(tmp_path / name, *flags, *engine)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        assert errors == ""
    journals = [events(tmp_path / name) for name in names]
    assert all(journal == journals[0] for journal in journals)
    assert sum(event["event"] == "finished" for event in journals[0]) == int(flags[flags.index("--trials") + 1])


def test_the_engine_does_not_change_the_journal(tmp_path: Path) -> None:
    engines = {"local": (), "ray2": RAY}
    same_journals(tmp_path, engines, "--trials", "12", "--batch", "4")


@pytest.mark.slow
def test_neither_the_engine_nor_the_number_of_workers_changes_a_real_search(tmp_path: Path) -> None:
    engines = {"local": ()} | {f"ray{n}": ("--engine", "ray", "--workers", str(n)) for n in (1, 2, 4)}
    flags = ["--trials", "8", "--batch", "4", "--evaluator", "proxy", "--epochs", "1", "--controller", "reinforce"]
    flags += ["--set", "evaluator.max_images=200"]
    for name, engine in engines.items():
        code = "from nas.commands.search import main; raise SystemExit(main())"
        words = [sys.executable, "-c", code, "--target-flops", "400M", "--quiet", "--run-dir", str(tmp_path / name)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([*words, *flags, *engine], cwd=ROOT, env=environment, check=True, capture_output=True)
    journals = [events(tmp_path / name) for name in engines]
    assert all(journal == journals[0] for journal in journals)


@pytest.mark.slow
def test_another_engine_may_go_on_with_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for flags in (
        ("--trials", "4"),
        ("--trials", "8", "--resume", "--trust-code", *RAY),
        ("--trials", "12", "--resume"),
    ):
        process = start(run, "--batch", "4", *flags)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    process = start(tmp_path / "whole", "--batch", "4", "--trials", "12")
    process.communicate(timeout=60)
    whole, parts = events(tmp_path / "whole"), events(run)
    # The reference network is evaluated at the end of each part: aside, as is the header's number of trials.
    assert [e for e in parts[1:] if e["event"] != "reference"] == [e for e in whole[1:] if e["event"] != "reference"]


@pytest.mark.slow
def test_ctrl_c_ends_the_search_and_leaves_no_process(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(run, *RAY, "--trials", "16", sleep=60)
    journal = run / "journal.jsonl"
    while not journal.exists() or b"proposed" not in journal.read_bytes():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    time.sleep(4)
    family = descendants(process.pid)
    assert any(b"ray::" in command(pid) for pid in family)
    assert listening_beyond_loopback(family) == []
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Proposed but not finished, to be run again: trials 0, 1, 2" in output
    assert f"nas-search --run-dir {run} --resume" in output
    assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []


def listening_beyond_loopback(pids: list[int]) -> list[str]:
    """Addresses (hexadecimal, as /proc has them) at which these processes listen, other than loopback."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(link))
            except OSError:
                continue
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1].partition(":")[0], fields[3], fields[9]
            if state == "0A" and f"socket:[{inode}]" in sockets and not address.endswith("0100007F"):
                found.append(address)
    return found
