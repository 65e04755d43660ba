from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluator.base import DeviceLost, Evaluation
from evaluator.function import FunctionConfig, as_evaluator_class
from nas.engines.base import Job
from nas.engines.local import LocalEngine, estimate_seconds, evaluate_safely
from search_space.architecture import Architecture
from search_space.errors import NasError
from tests.nas.engines.victims import LOSES_DEVICE, Victim, VictimConfig
from tests.toys import ToyConfig, ToyEvaluator

ROOT = Path(__file__).parents[3]


def test_results_come_in_the_order_of_the_jobs_with_one_evaluator(tmp_path: Path) -> None:
    engine = LocalEngine(Victim(VictimConfig(folder=str(tmp_path))))
    b0 = Architecture.load("efficientnet-b0")
    jobs = [Job(trial=n, architecture=b0, seed=n) for n in (4, 2, 7)]
    assert [trial for trial, _ in engine.run(jobs)] == [4, 2, 7]
    assert len(list(tmp_path.glob("made-*"))) == 1


def test_where_the_gpu_is_lost_nothing_is_recorded_of_the_network(tmp_path: Path) -> None:
    engine = LocalEngine(Victim(VictimConfig(folder=str(tmp_path))))
    jobs = [Job(trial=0, architecture=Architecture.load("efficientnet-b0"), seed=LOSES_DEVICE)]
    with pytest.raises(DeviceLost, match="illegal memory access"):
        list(engine.run(jobs))


def test_a_local_search_never_imports_ray(tmp_path: Path) -> None:
    code = (
        "import sys; from nas.commands.search import main; sys.modules['ray'] = None; "
        f"code = main(['--target-flops', '400M', '--evaluator', 'tests.toys:ToyEvaluator', '--trials', '4', "
        f"'--run-dir', {str(tmp_path / 'run')!r}, '--quiet']); "
        "assert not [m for m in sys.modules if m.startswith('ray.')]; raise SystemExit(code)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Undecodable(Exception):
    def __str__(self) -> str:
        return "a\udcff\x1b[31m\nand more"


class NotAnException(BaseException):
    """What some libraries derive apart from Exception."""


def raiser(error: BaseException) -> Callable[..., Any]:
    def function(architecture: Architecture, seed: int) -> float:
        raise error

    return function


def returner(make: Callable[[], Any]) -> Callable[..., Any]:
    return lambda architecture, seed: make()


def evaluation(**fields: Any) -> Callable[..., Any]:
    """A function that makes an Evaluation when it is called."""
    return lambda architecture, seed: Evaluation(**{"status": "ok", "accuracy": 0.5} | fields)


B0 = Architecture.load("efficientnet-b0")


@pytest.mark.parametrize(
    ("function", "status", "reason"),
    [
        (returner(lambda: 0.5), "ok", ""),
        (returner(lambda: 1), "ok", ""),
        (returner(lambda: np.float32(0.5)), "ok", ""),
        (returner(lambda: torch.tensor(0.5)), "ok", ""),
        (evaluation(accuracy=np.float64(0.5), seconds=np.float32(1)), "ok", ""),
        (returner(lambda: None), "failed", "must return an Evaluation or an accuracy from 0 to 1, got NoneType"),
        (returner(lambda: float("nan")), "failed", "got float nan"),
        (returner(lambda: 10**400), "failed", "OverflowError"),
        (returner(lambda: torch.zeros(2)), "failed", "got Tensor"),
        (returner(lambda: "0.5"), "failed", "got str '0.5'"),
        (returner(lambda: {"status": "ok"}), "failed", "got dict"),
        (evaluation(losses=(float("nan"),)), "failed", "losses must be"),
        (evaluation(losses=torch.zeros(2)), "failed", "losses must be"),
        (evaluation(seconds=float("nan")), "failed", "seconds must be 0 or more, got nan"),
        (evaluation(seconds=10**400), "failed", "seconds must be 0 or more, got 1000"),
        (evaluation(curve=(2.0,)), "failed", "curve must be"),
        (evaluation(status="failed", accuracy=None, reason=b"bytes"), "failed", "reason must be text, got b'bytes'"),
        (evaluation(status="great"), "failed", "status must be one of ok, infeasible"),
        (evaluation(status=["ok"]), "failed", "status must be one of"),
        (raiser(Unprintable()), "failed", "Unprintable: its text cannot be printed"),
        (raiser(Undecodable()), "failed", "Undecodable: a\\udcff\\x1b[31m"),
        (raiser(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")), "failed", "UnicodeDecodeError"),
        (raiser(SystemExit(3)), "failed", "SystemExit: 3"),
        (raiser(asyncio.CancelledError()), "failed", "CancelledError"),
        (raiser(NotAnException("odd")), "failed", "NotAnException: odd"),
        (raiser(RecursionError("x" * 10**6)), "failed", "RecursionError: xxx"),
    ],
)
def test_whatever_an_evaluator_does_is_an_evaluation_that_can_be_read_back(
    function: Callable[..., Any], status: str, reason: str
) -> None:
    evaluator = as_evaluator_class(function, "odd")(FunctionConfig())
    found = evaluate_safely(evaluator, Job(trial=0, architecture=B0, seed=0))
    assert found.status == status
    assert reason in found.reason
    assert found.reason.isprintable()
    assert len(found.reason) <= 500
    text = json.dumps(found.to_json(), allow_nan=False, ensure_ascii=False)
    assert Evaluation.from_json(json.loads(text.encode())) == found


def test_ctrl_c_is_no_failure_of_a_network() -> None:
    evaluator = as_evaluator_class(raiser(KeyboardInterrupt()), "stopped")(FunctionConfig())
    with pytest.raises(KeyboardInterrupt):
        evaluate_safely(evaluator, Job(trial=0, architecture=B0, seed=0))


def test_an_evaluator_that_does_not_mind_its_time_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn(architecture: Architecture, seed: int) -> float:
        while seed:
            try:
                time.sleep(1)
            except Exception:  # noqa: BLE001 - as a careless user writes it
                pass
        return 0.5

    monkeypatch.setattr("nas.engines.base.GRACE_SECS", 0.1)
    engine = LocalEngine(as_evaluator_class(stubborn, "stubborn")(FunctionConfig()), timeout=0.1)
    jobs = [Job(trial=n, architecture=B0, seed=n) for n in (1, 0)]
    (_, late), (_, fine) = engine.run(jobs)
    assert (late.status, late.reason) == ("timeout", "did not stop by itself after 0.1 s; it was interrupted")
    assert fine.accuracy == 0.5


@pytest.mark.parametrize("said", [{"share": float("nan")}, {"classes": {1, 2}}, None])
def test_a_description_that_cannot_be_recorded_is_left_out(said: Any, caplog: pytest.LogCaptureFixture) -> None:
    evaluator = as_evaluator_class(returner(lambda: 0.5), "odd")(FunctionConfig())
    evaluator.describe = lambda: said  # type: ignore[method-assign]
    assert not LocalEngine(evaluator).describe()
    assert said is None or "the evaluator's description is left out" in caplog.text


def test_an_estimate_evaluates_lookups_and_asks_the_others() -> None:
    job = Job(trial=-1, architecture=Architecture.load("efficientnet-b0"), seed=0)
    assert estimate_seconds(ToyEvaluator(ToyConfig()), job) == 0.01
    with pytest.raises(NasError, match="the timed trial ended as failed: RuntimeError: this network"):
        estimate_seconds(ToyEvaluator(ToyConfig(fail_every=1)), job)
    assert estimate_seconds(as_evaluator_class(lambda architecture, seed: 1 / 0, "own")(FunctionConfig()), job) is None
