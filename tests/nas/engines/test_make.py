from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.engines.local import LocalEngine
from nas.engines.make import CALLBACKS
from search_space.errors import InputError
from search_space.io import named

ROOT = Path(__file__).parents[3]
SEARCH = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--trials", "4", "--quiet"]


def test_the_default_is_this_process(tmp_path: Path, start_engine: Callable[..., Any]) -> None:
    with start_engine(tmp_path) as engine:
        assert isinstance(engine, LocalEngine)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "4"], "--workers: needs --engine ray"),
        (["--max-failures", "0"], "--max-failures: needs --engine ray"),
        (["--callback", "wandb"], "--callback: needs --engine ray"),
        (["--engine", "ray", "--workers", "0"], "--workers must be at least 1, got 0"),
        (["--engine", "ray", "--cpus-per-trial", "-1"], "--cpus-per-trial must be at least 0, got -1.0"),
        (["--engine", "ray", "--gpus-per-trial", "nan"], "--gpus-per-trial must be at least 0, got nan"),
        (["--engine", "ray", "--callback", "wandbb"], r"unknown callback 'wandbb' \(did you mean 'wandb'\?\)"),
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
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


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
def test_built_in_callbacks_exist() -> None:
    pytest.importorskip("ray")
    for path in CALLBACKS.values():
        assert named.import_object(path, "callback")


@pytest.mark.slow
def test_a_callback_is_told_of_every_trial(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    done = run_search(tmp_path, "--workers", "2", "--callback", "tensorboard")
    assert done.returncode == 0, done.stderr
    events = list((tmp_path / "run" / "tune").rglob("events.out.tfevents*"))
    assert len(events) >= 4
