from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.function import FunctionConfig, as_evaluator_class
from nas.engines.base import Job
from nas.engines.local import LocalEngine, estimate_seconds
from search_space.architecture import Architecture
from search_space.errors import NasError
from tests.nas.engines.victims import Victim, VictimConfig
from tests.toys import ToyConfig, ToyEvaluator

ROOT = Path(__file__).parents[3]


def test_results_come_in_the_order_of_the_jobs_with_one_evaluator(tmp_path: Path) -> None:
    engine = LocalEngine(Victim(VictimConfig(folder=str(tmp_path))))
    b0 = Architecture.load("efficientnet-b0")
    jobs = [Job(trial=n, architecture=b0, seed=n) for n in (4, 2, 7)]
    assert [trial for trial, _ in engine.run(jobs)] == [4, 2, 7]
    assert len(list(tmp_path.glob("made-*"))) == 1


def test_a_local_search_never_imports_ray(tmp_path: Path) -> None:
    code = (
        "import sys; from nas.commands.search import main; sys.modules['ray'] = None; "
        f"code = main(['--target-flops', '400M', '--evaluator', 'tests.toys:ToyEvaluator', '--trials', '4', "
        f"'--run-dir', {str(tmp_path / 'run')!r}, '--quiet']); "
        "assert not [m for m in sys.modules if m.startswith('ray.')]; raise SystemExit(code)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def test_an_estimate_evaluates_lookups_and_asks_the_others() -> None:
    job = Job(trial=-1, architecture=Architecture.load("efficientnet-b0"), seed=0)
    assert estimate_seconds(ToyEvaluator(ToyConfig()), job) == 0.01
    with pytest.raises(NasError, match="the timed trial ended as failed: RuntimeError: this network"):
        estimate_seconds(ToyEvaluator(ToyConfig(fail_every=1)), job)
    assert estimate_seconds(as_evaluator_class(lambda architecture, seed: 1 / 0, "own")(FunctionConfig()), job) is None
