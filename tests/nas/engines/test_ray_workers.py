"""Workers that cannot be made, and nodes that come and go."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nas.engines import ray_cluster
from nas.engines.base import Job
from nas.engines.make import EngineOptions, make_engine
from search_space.architecture import Architecture
from search_space.errors import NasError
from tests.nas.engines.victims import FINE

ROOT = Path(__file__).parents[3]
B0 = Architecture.load("efficientnet-b0")
JOBS = [Job(trial=number, architecture=B0, seed=FINE + number) for number in range(12)]


@pytest.fixture
def workers() -> Any:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    ray_cluster.set_environment(local=True)  # before the first import of Ray in this process
    from nas.engines import ray_workers

    return ray_workers


@contextmanager
def cluster(nodes: int, cpus: int = 1) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a cluster, whose token is this process's, and the process that obeys ``remove``."""
    command = [sys.executable, str(Path(__file__).parent / "cluster_host.py"), str(nodes), str(cpus)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        yield host.stdout.readline().strip(), host
        host.stdin.close()
        host.wait(60)


def test_what_an_error_of_rays_means(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray import exceptions

    monkeypatch.setattr(workers.ray, "nodes", lambda: [{"NodeID": "a", "Alive": True}, {"NodeID": "b", "Alive": False}])
    died = exceptions.RayActorError(error_msg="The actor died.\n\tpid: 7\nEnd of file.\n")
    low = exceptions.RayActorError(error_msg="Task was killed: the node was running low on memory.\nTop 10 users:\n...")
    slow = exceptions.RayTaskError(
        "f", "Traceback\n...\nTimeoutError: slow", TimeoutError("slow")
    ).as_instanceof_cause()
    expected: list[tuple[Exception, str, str, str]] = [
        (TimeoutError(), "a", "late", ""),
        (slow, "a", "raised", "slow"),
        (died, "a", "died", "End of file."),
        (died, "b", "node", "End of file."),
        (died, "c", "node", "End of file."),
        (exceptions.RayActorError(error_msg="gone", preempted=True), "a", "node", "gone"),
        (exceptions.ActorUnavailableError("no answer", None), "a", "node", "no answer"),
        (exceptions.OutOfMemoryError("1 worker killed\n..."), "a", "memory", "OutOfMemoryError: 1 worker killed"),
        (low, "a", "memory", "OutOfMemoryError: Task was killed: the node was running low on memory."),
        (exceptions.RayTaskError("f", "Traceback\n...\nTypeError: no", None), "a", "raised", "TypeError: no"),
    ]
    for error, node, kind, why in expected:
        failure = workers._failure(error, node)
        assert failure.kind == kind
        assert why in failure.why
        assert "\n" not in failure.why


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("raises", "^no worker could make the evaluator: OSError: no such disk .--engine local shows where.$"),
        ("dies", "^no worker could make the evaluator: .*died"),
        ("hangs", "^no worker could make the evaluator: not done after 2 s; does its constructor hang"),
    ],
)
def test_an_evaluator_that_no_worker_can_make_is_one_line(
    workers: Any,
    start_engine: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
    message: str,
) -> None:
    monkeypatch.setattr(workers, "MAKE_SECS", 2.0)
    with pytest.raises(NasError, match=message) as raised, start_engine(tmp_path, "--workers", "2", start=start):
        pass
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.slow
def test_workers_import_what_the_search_can(workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ones_own.py").write_text("from tests.toys import ToyEvaluator\nclass Own(ToyEvaluator): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    own = importlib.import_module("ones_own").Own
    with closing(make_engine(EngineOptions(engine="ray", workers=1), own, own.Config())) as engine:
        assert [evaluation.status for _, evaluation in engine.run(JOBS)] == ["ok"] * len(JOBS)
    assert "PYTHONPATH" not in os.environ


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_a_node_where_the_evaluator_cannot_be_made_costs_no_job_a_try(
    workers: Any, start_engine: Callable[..., Any], tmp_path: Path, number: int
) -> None:
    with cluster(nodes=2, cpus=3 - number) as (address, _):
        flags = ["--ray-address", address, "--workers", str(number), "--max-failures", "0"]
        with start_engine(tmp_path, *flags, start="on-one-node") as engine:
            results = dict(engine.run(JOBS))
    assert [results[n].status for n in range(len(JOBS))] == ["ok"] * len(JOBS)


@pytest.mark.slow
def test_a_lost_node_costs_no_job_a_try(workers: Any, start_engine: Callable[..., Any], tmp_path: Path) -> None:
    with cluster(nodes=2) as (address, host):
        flags = ["--ray-address", address, "--workers", "2", "--max-failures", "0"]
        with start_engine(tmp_path, *flags, sleep=0.5) as engine:
            run = engine.run(JOBS)
            results = [next(run) for _ in range(4)]
            assert host.stdin is not None
            host.stdin.write("remove\n")
            host.stdin.flush()
            results += list(run)
    assert sorted(trial for trial, _ in results) == list(range(len(JOBS)))
    assert {evaluation.status for _, evaluation in results} == {"ok"}


@pytest.mark.slow
def test_a_cluster_without_room_is_waited_for_but_not_for_ever(
    workers: Any,
    start_engine: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(workers, "PLACE_SECS", 3.0)
    monkeypatch.setattr(workers, "_SAY_SECS", 0.5)
    message = "no evaluation has found a place on the cluster within 3 s"
    with cluster(nodes=0) as (address, _), pytest.raises(NasError, match=message):
        with start_engine(tmp_path, "--ray-address", address, "--workers", "1"):
            pass
    assert "0 of 1 workers fit now: an evaluation asks for 1 CPUs and 0 GPUs, the cluster has 0 CPUs" in caplog.text
    assert "waiting for the cluster to have room for a worker" in caplog.text
