from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator.registry import EVALUATORS
from nas.engines import ray_cluster
from nas.engines.local import LocalEngine
from nas.engines.make import EngineOptions, count_workers
from search_space.errors import InputError
from search_space.io import named
from tests.nas.engines.victims import Victim, VictimConfig

ROOT = Path(__file__).parents[3]
SEARCH = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--trials", "4", "--quiet"]


@pytest.mark.parametrize(
    ("flags", "cores", "lookup", "engine"),
    [
        ([], 2, False, "ray"),
        ([], 1, False, "local"),
        ([], 2, True, "local"),
        (["--workers", "1"], 2, False, "local"),
        (["--workers", "2"], 1, False, "ray"),
        (["--workers", "2"], 2, True, "local"),
        (["--engine", "local"], 2, False, "local"),
        (["--engine", "local", "--workers", "1"], 2, False, "local"),
        (["--engine", "ray"], 1, True, "ray"),
        (["--max-failures", "1"], 1, True, "ray"),
        (["--workers", "1", "--cpus-per-trial", "2"], 2, False, "ray"),
    ],
)
def test_workers_are_the_default_where_they_gain_something(
    tmp_path: Path,
    start_engine: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    cores: int,
    lookup: bool,
    engine: str,
) -> None:
    class Started(Exception):
        pass

    def start(*_: Any) -> None:
        raise Started

    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setattr(Victim, "is_lookup", lookup)
    monkeypatch.setattr(ray_cluster, "Cluster", start)
    if engine == "ray":
        with pytest.raises(Started), start_engine(tmp_path, *flags):
            pass
    else:
        with start_engine(tmp_path, *flags) as started:
            assert isinstance(started, LocalEngine)


def test_look_ups_are_known() -> None:
    classes = {name: named.load_object("evaluator", name, EVALUATORS)[0] for name in EVALUATORS}
    assert {name for name, cls in classes.items() if cls.is_lookup} == {"imagenet", "params", "shared", "table"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--engine", "local", "--workers", "4"], "--workers: not with --engine local, which is this one process"),
        (["--engine", "local", "--max-failures", "0"], "--max-failures: not with --engine local"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--max-failures", "-1"], "--max-failures must be at least 0, got -1"),
        (["--cpus-per-trial", "-1"], "--cpus-per-trial must be a share from 0.0001 to 1 or a whole number, got -1"),
        (["--cpus-per-trial", "inf"], "--cpus-per-trial must be a share .* got inf"),
        (["--cpus-per-trial", "1.5"], "--cpus-per-trial must be a share .* got 1.5"),
        (["--gpus-per-trial", "nan"], "--gpus-per-trial must be a share .* got nan"),
        (["--gpus-per-trial", "1e-9"], "--gpus-per-trial must be a share .* got 1e-09"),
        (["--gpus-per-trial", "4096"], "no evaluation fits: it asks for 1 CPUs and 4096 GPUs, this machine has"),
        (["--workers", "1", "--gpus-per-trial", "4096"], "--workers 1: 0 fit, an evaluation asks for"),
    ],
)
def test_contradicting_flags_are_refused(
    tmp_path: Path, start_engine: Callable[..., Any], flags: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message), start_engine(tmp_path, *flags):
        pass


def run_search(tmp_path: Path, *flags: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    code = f"import sys; from nas.commands.search import main; {before}; raise SystemExit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *SEARCH, "--run-dir", str(tmp_path / "run"), "--engine", "ray", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def test_a_missing_ray_is_one_line(tmp_path: Path) -> None:
    done = run_search(tmp_path, before="sys.modules['ray'] = None")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "install it with pip install 'ray[tune]'" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "--ray-address 127.0.0.1:1: cannot reach a Ray cluster there"),
        ("auto", "--ray-address auto: cannot reach a Ray cluster there"),
        ("ray://127.0.0.1:10001", "must be auto or HOST:PORT"),
    ],
)
def test_an_unreachable_cluster_is_one_line(tmp_path: Path, address: str, message: str) -> None:
    done = run_search(tmp_path, "--ray-address", address)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_long_tmpdir_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    done = run_search(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_search_without_flags_has_workers(tmp_path: Path) -> None:
    code = (
        "import sys; from nas.engines import ray_cluster; "
        "ray_cluster.this_machine = lambda request: {'CPU': 2.0, 'GPU': 0.0}; "
        "from nas.commands.search import main; raise SystemExit(main(sys.argv[1:]))"
    )
    proxy = ["--target-flops", "400M", "--trials", "2", "--epochs", "1", "--set", "evaluator.max_images=100"]
    command = [sys.executable, "-c", code, *proxy, "--quiet", "--run-dir", str(tmp_path / "run"), "--trust", "0%"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NAS_LOG": "INFO"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "2 Ray workers" in done.stderr


@pytest.mark.parametrize(
    ("options", "workers"),
    [
        ({}, 4),
        ({"engine": "local"}, 1),
        ({"workers": 3}, 3),
        ({"cpus_per_trial": 2.0}, 2),
        ({"ray_address": "auto"}, 7),
    ],
)
def test_workers_are_counted_before_any_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], workers: int
) -> None:
    class Cluster:
        resources = ray_cluster.Resources(workers=7, cpus=1.0, gpus=0.0)

        def __init__(self, address: str, request: ray_cluster.Request) -> None:
            assert address == "auto"

        def close(self) -> None:
            closed.append(True)

    closed: list[bool] = []
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    monkeypatch.setattr(ray_cluster, "Cluster", Cluster)
    monkeypatch.setattr(ray_cluster, "set_environment", lambda local: None)
    assert count_workers(EngineOptions(**options), Victim, VictimConfig(folder=str(tmp_path))) == workers
    assert len(closed) == ("ray_address" in options)


def test_torch_is_loaded_while_workers_start_and_not_before(tmp_path: Path) -> None:
    """What is wrong with settings is said at once, and Ray's start takes as long as loading torch."""
    code = """
import sys
from nas.commands import search
from nas.engines import make

class Started(Exception):
    pass

def start(*args):
    raise Started

def look(local):
    print([name for name in ("torch", "ray") if name in sys.modules])

make._uses_ray, make.ray_cluster.set_environment, make.ray_cluster.Cluster = lambda *args: True, look, start
try:
    search.main(["--target-flops", "400M", "--run-dir", sys.argv[1], "--quiet"])
except Started:
    print("torch._dynamo" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["[]", "True"]
