"""Faults of workers, with real kills; and what the workers share."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas.engines import ray_cluster
from nas.engines.base import Engine, Job
from nas.engines.ray_cluster import Resources
from search_space.architecture import Architecture
from search_space.errors import InputError, NasError
from tests.nas.engines.processes import actors, comes_true, command, descendants, listening_beyond_loopback
from tests.nas.engines.victims import DIES, DIES_ONCE, FINE, FORKS, HANGS, LOSES_DEVICE, RAISES
from tests.runs import events

ROOT = Path(__file__).parents[3]
B0 = Architecture.load("efficientnet-b0")
RAY = ("--engine", "ray", "--workers", "2")


OK = Evaluation(status="ok", accuracy=0.5)


def jobs(*seeds: int) -> list[Job]:
    return [Job(trial=number, architecture=B0, seed=seed) for number, seed in enumerate(seeds)]


class Scripted:
    """Workers whose evaluations end as a script says, in the order they began."""

    def __init__(self, *outcomes: Any) -> None:
        self.script = deque(outcomes)
        self.idle = deque(range(2))
        self.tasks: deque[Any] = deque()
        self.seconds: list[float] = []

    def abandon(self) -> None:
        self.idle.extend(range(len(self.tasks)))
        self.tasks.clear()

    def check_idle(self) -> None: ...

    def wait_for_one(self) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {}

    def evaluate(self, job: Job, task: Any, seconds: float) -> None:
        self.idle.popleft()
        self.tasks.append(task)
        self.seconds.append(seconds)

    def step(self) -> tuple[Any, Any]:
        self.idle.append(0)
        outcome = self.script.popleft() if self.script else json.dumps(OK.to_json())
        if isinstance(outcome, Exception):
            raise outcome
        return self.tasks.popleft(), outcome


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """An engine over `Scripted` workers: a failure is (kind, reason)."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    ray_cluster.set_environment(local=True)  # before the first import of Ray in this process
    from nas.engines import ray_actors

    def make(*outcomes: Any, timeout: float | None = None, max_failures: int = 2) -> Any:
        failures = (ray_actors.Failure(*end) if isinstance(end, tuple) else end for end in outcomes)
        workers = Scripted(*failures)
        monkeypatch.setattr(ray_actors, "Workers", lambda *_: workers)
        cluster = SimpleNamespace(resources=Resources(workers=2, cpus=1.0, gpus=0.0), close=lambda: None)
        engine = ray_actors.RayEngine(cluster, Any, timeout=timeout, max_failures=max_failures)  # type: ignore[arg-type]
        return engine, workers

    return make


def test_a_worker_that_dies_costs_a_try_and_the_last_one_is_recorded(scripted: Callable[..., Any]) -> None:
    engine, _ = scripted(*[("died", "killed")] * 2)
    assert list(engine.run(jobs(1))) == [(0, OK)]
    engine, _ = scripted(*[("died", "killed")] * 3)
    assert list(engine.run(jobs(1))) == [(0, Evaluation(status="failed", reason="its worker died 3 times: killed"))]
    engine, _ = scripted(("died", "killed"), *[("memory", "OutOfMemoryError: 1 GB")] * 2)
    reason = "its worker died 3 times: OutOfMemoryError: 1 GB"
    assert list(engine.run(jobs(1))) == [(0, Evaluation(status="infeasible", reason=reason))]


def test_a_node_that_is_lost_costs_no_try_but_not_for_ever(scripted: Callable[..., Any]) -> None:
    engine, _ = scripted(*[("node", "gone")] * 20, max_failures=0)
    assert list(engine.run(jobs(1))) == [(0, OK)]
    engine, _ = scripted(*[("node", "gone")] * 21, max_failures=0)
    assert list(engine.run(jobs(1))) == [(0, Evaluation(status="failed", reason="its node was lost 21 times: gone"))]


def test_what_raises_in_a_worker_is_recorded_and_not_tried_again(scripted: Callable[..., Any]) -> None:
    engine, _ = scripted(("raised", "TypeError: no JSON"))
    results = dict(engine.run(jobs(1, 2)))
    assert results == {0: Evaluation(status="failed", reason="TypeError: no JSON"), 1: OK}


@pytest.mark.parametrize("decided", [True, False])
def test_the_next_job_is_given_before_a_result_is_told_where_it_is_decided(
    scripted: Callable[..., Any], decided: bool
) -> None:
    engine, workers = scripted()
    all_jobs = jobs(1, 2, 3, 4)
    results = engine.run(all_jobs if decided else iter(all_jobs))
    assert next(results) == (0, OK)
    assert [task.job.trial for task in workers.tasks] == ([1, 2] if decided else [1])
    assert [number for number, _ in results] == [1, 2, 3]


def test_a_job_may_take_a_tenth_more_than_its_time_and_some_grace(scripted: Callable[..., Any]) -> None:
    engine, workers = scripted(("late", ""), timeout=100.0)
    long = Job(trial=7, architecture=B0, seed=1, fidelity=3)
    reason = "did not stop by itself after 300 s; its worker was killed"
    assert list(engine.run([long])) == [(7, Evaluation(status="timeout", reason=reason, seconds=300.0))]
    assert workers.seconds == pytest.approx([340.0])
    engine, workers = scripted()
    list(engine.run([long]))
    assert workers.seconds == [math.inf]


def test_an_engine_without_workers_says_how_to_go_on(scripted: Callable[..., Any]) -> None:
    engine, _ = scripted(InputError("no such data"))
    with pytest.raises(NasError, match="evaluations ended: no such data; go on with --resume") as raised:
        list(engine.run(jobs(1)))
    assert type(raised.value) is NasError


def test_a_run_that_another_one_has_replaced_does_not_go_on(scripted: Callable[..., Any]) -> None:
    engine, _ = scripted()
    first = engine.run(jobs(1, 2, 3))
    next(first)
    assert len(list(engine.run([]))) == 0
    with pytest.raises(AssertionError, match="another run"):
        next(first)


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
    assert len(list(folder.glob("made-*"))) <= 2


@pytest.mark.slow
def test_a_killed_worker_costs_a_retry(engine: Engine, folder: Path) -> None:
    results = dict(engine.run(jobs(FINE, DIES_ONCE, FINE + 1, DIES_ONCE + 1)))
    assert [results[n].status for n in range(4)] == ["ok"] * 4
    assert len(list(folder.glob(f"died-{DIES_ONCE}"))) == 1


@pytest.mark.slow
def test_a_worker_that_has_lost_its_gpu_is_replaced(engine: Engine, folder: Path) -> None:
    results = dict(engine.run(jobs(LOSES_DEVICE, FINE, FINE + 1)))
    assert [results[n].status for n in range(3)] == ["ok"] * 3
    lost = int((folder / f"died-{LOSES_DEVICE}").read_text())
    assert comes_true(lambda: b"ray::" not in command(lost))


@pytest.mark.slow
def test_what_kills_every_worker_is_recorded_as_failed(engine: Engine) -> None:
    results = dict(engine.run(jobs(FINE, DIES, FINE + 1)))
    assert [results[n].status for n in range(3)] == ["ok", "failed", "ok"]
    assert results[1].reason.startswith("its worker died 3 times: ")


@pytest.mark.slow
def test_a_hang_is_killed_from_outside(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.engines.base.GRACE_SECS", 0.5)
    results = dict(engine.run(jobs(FINE, HANGS, FINE + 1, RAISES)))
    assert [results[n].status for n in range(4)] == ["ok", "timeout", "ok", "failed"]
    assert results[1].reason == "did not stop by itself after 1 s; its worker was killed"
    assert results[1].seconds == 1


@pytest.mark.slow
def test_idle_workers_that_die_cost_nothing(engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_max_failures", 0)
    list(engine.run(jobs(*range(FINE, FINE + 4))))
    for path in folder.glob("made-*"):
        pid = int(path.name.split("-")[1])
        if b"ray::" in command(pid):
            os.kill(pid, signal.SIGKILL)
    results = dict(engine.run(jobs(*range(FINE, FINE + 4))))
    assert [results[n].status for n in range(4)] == ["ok"] * 4


@pytest.mark.slow
def test_a_fork_that_an_evaluation_forgot_ends(engine: Engine) -> None:
    results = dict(engine.run(jobs(FORKS, FORKS + 1, FINE)))
    assert [results[n].status for n in range(3)] == ["ok"] * 3
    assert comes_true(lambda: actors(os.getpid()) <= 2)


@pytest.mark.slow
def test_an_evaluator_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    victim = ["--evaluator", "tests.nas.engines.victims:Victim", "--set", f"evaluator.folder={tmp_path}"]
    process = start(run, *RAY, *victim, "--set", "evaluator.refuse=no such data")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 2
    assert errors.splitlines() == ["nas-search: no such data"]
    assert not run.exists()


def search(run: Path, *flags: str, sleep: float = 0.0) -> list[str]:
    code = "from nas.commands.search import main; raise SystemExit(main())"
    fixed = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--run-dir", str(run)]
    return [sys.executable, "-c", code, *fixed, "--set", f"evaluator.sleep={sleep}", *flags]


def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(search(*arguments, **options), cwd=ROOT, env=environment, **pipes)


def same_journals(tmp_path: Path, names: dict[str, tuple[str, ...]], *flags: str) -> None:
    for name, engine in names.items():
        process = start(tmp_path / name, *flags, *engine)
        _, errors = process.communicate(timeout=600)
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
    engines = {"local": ()} | {f"ray{n}": ("--engine", "ray", "--workers", str(n)) for n in (1, 4)}
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
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    process = start(tmp_path / "whole", "--batch", "4", "--trials", "12")
    process.communicate(timeout=600)
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
    assert comes_true(lambda: actors(process.pid, b".evaluate") == 2)
    family = descendants(process.pid)
    assert listening_beyond_loopback(family) == []
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Proposed but not finished, to be run again: trials 0, 1, 2" in output
    assert f"nas-search --run-dir {run} --resume" in output
    assert comes_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
