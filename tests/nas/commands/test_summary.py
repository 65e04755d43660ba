from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas import config
from nas.commands import summary
from nas.commands.search import load_space
from nas.engines.local import LocalEngine
from nas.problem import make_problem
from nas.runs import directory as run_dir
from nas.study import Study
from search_space.architecture import Architecture
from search_space.errors import NasError
from tests.toys import ToyConfig, ToyEvaluator


class OwnSpace:
    """A user's space: B0 or A1."""

    name = "own"
    decisions = ()

    def decode(self, tokens: Any) -> Architecture:
        return Architecture.load("efficientnet-b0")


def make_study(tmp_path: Path, **evaluator: int) -> Study:
    settings = config.resolve([{"target_flops": "400M", "trials": 4, "controller": "random"}])
    space = load_space(settings)
    controller, controller_config = config.make("controller", settings.controller)
    journal = run_dir.open_journal(tmp_path / "run", settings)
    study = Study(
        space=space,
        objective=settings.objective,
        controller=controller(make_problem(space, settings.objective, None), controller_config, 0),
        journal=journal,
        num_trials=4,
        batch_size=4,
        seed=0,
    )
    list(study.run(LocalEngine(ToyEvaluator(ToyConfig(**evaluator)))))
    journal.close()
    return study


def test_the_best_stands_beside_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path)
    study.references["efficientnet-b0"] = Evaluation(status="ok", accuracy=0.5)
    assert summary.result(tmp_path / "run", study, "efficientnet-b0") == 0
    out = capsys.readouterr().out
    assert study.best is not None
    assert f"best (trial {study.best.number})" in out
    assert f"{study.best.reward:.4f}" in out
    row = next(line for line in out.splitlines() if line.startswith("efficientnet-b0"))
    assert row.split() == ["efficientnet-b0", "50.00%", "385,814,752", "5,288,548", "0.5013"]
    assert "4 trials, 4 trained, 0 failed" in out


def test_a_failed_reference_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path)
    study.references["efficientnet-b0"] = Evaluation(status="diverged", reason="the loss is NaN")
    summary.result(tmp_path / "run", study, "efficientnet-b0")
    assert "diverged" in capsys.readouterr().out


def test_no_success_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    study = make_study(tmp_path, fail_every=1)
    with pytest.raises(NasError, match=r"no network could be evaluated in 4 trials .*RuntimeError: this network"):
        summary.result(tmp_path / "run", study, "efficientnet-b0")


def test_the_plan_of_a_space_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    settings = config.resolve([{"target_flops": "400M", "trials": 4, "controller": "random"}])
    assert summary.plan(settings, OwnSpace(), ToyEvaluator(ToyConfig())) == 0
    out = capsys.readouterr().out
    assert "Space own: 0 decisions\n" in out
    assert "quantiles: 5 % 385.8M" in out
    assert "4 trials take about" in out


def test_a_plan_that_cannot_be_timed_says_why() -> None:
    settings = config.resolve([{"target_flops": "400M", "band": [2.0, 3.0]}])
    with pytest.raises(NasError, match="no random network fell into the band"):
        summary.plan(settings, OwnSpace(), ToyEvaluator(ToyConfig()))
    settings = config.resolve([{"target_flops": "400M"}])
    with pytest.raises(NasError, match="the timed trial ended as failed: RuntimeError"):
        summary.plan(settings, OwnSpace(), ToyEvaluator(ToyConfig(fail_every=1)))
