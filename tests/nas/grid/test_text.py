from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from evaluator.base import Evaluation
from nas.grid import config as grid_config
from nas.grid import text
from nas.grid.coefficients import Coefficients
from nas.grid.enumeration import enumerate_grid
from nas.grid.result import GridResult, Score
from nas.statistics import Difference
from search_space.architecture import Architecture

B0 = Architecture.load("efficientnet-b0")


def settings(**changes: Any) -> grid_config.GridConfig:
    return grid_config.resolve([{"name": "b0", "baseline": B0, "rungs": [1, 2, 4], "repeats": 3, **changes}])


def test_verdicts_say_plainly_what_is_known() -> None:
    grid = enumerate_grid(B0, settings().bounds)
    score = Score(candidate=0, accuracies=(0.5, 0.6), losses=())
    near = Difference(mean=0.01, standard_error=0.02, low=-0.03, high=0.05)
    far = Difference(mean=0.1, standard_error=0.02, low=0.06, high=0.14)
    finding = GridResult(scores=(score,), against=(("runner-up", 1, near), ("paper", 8, far)), paper=8)
    first, second = text.verdicts(grid, finding)
    assert first == (
        "Against the runner-up, 1 / 1.05 / 1.29018: +1.00 points of accuracy, standard error 2.00, "
        "95% interval -3.00 to +5.00: not distinguishable"
    )
    assert second.startswith("Against the paper's 1.2 / 1.1 / 1.15 (as 1.25 / 1.1 / 1.00446): +10.00 points")
    assert second.endswith(": distinguishable")

    def alone(paper: int | None) -> str:
        return next(iter(text.verdicts(grid, GridResult(scores=(score,), against=(), paper=paper))))

    assert alone(0) == "The best is the network that the paper's 1.2 / 1.1 / 1.15 builds"
    assert "outside the constraint" in alone(None)
    assert "not trained on all seeds" in alone(8)


def test_a_family_that_ends_early_is_said_aloud(tmp_path: Path) -> None:
    own = settings(step=1, tolerance=0.5, family_from=-3)
    grid = enumerate_grid(B0, own.bounds)
    scores = tuple(Score(candidate=i, accuracies=(0.5 - i / 10, 0.6 - i / 10), losses=()) for i in (0, 1))
    clear = Difference(mean=0.1, standard_error=0.01, low=0.05, high=0.15)
    wide = dataclasses.replace(grid.candidates[0], coefficients=Coefficients(alpha=1, beta=4, gamma=2))
    grid = dataclasses.replace(grid, candidates=(wide, wide))
    found = GridResult(scores=scores, against=(("runner-up", 1, clear),), paper=None)
    parts = text.describe_result(tmp_path, grid, own, found, ())
    assert "The family ends at phi 3: beyond, a network exceeds what an architecture may be" in parts
    assert "The family begins at phi -2: below, images are too small for the network's strides" in parts


def test_an_estimate_is_for_all_trainings() -> None:
    assert "baseline takes about 3.0 s; all takes about 2.0 minutes" in text.describe_estimate(3.0, 40)
    assert "unknown" in text.describe_estimate(None, 40)


def test_the_time_is_that_of_all_workers_together() -> None:
    baseline = Evaluation(status="ok", accuracy=0.5, seconds=30.0)
    assert "about 40.0 minutes\n" in text.describe_time(baseline, 80.0, 1)
    assert "about 5.0 minutes, 8 trainings at a time" in text.describe_time(baseline, 80.0, 8)
    failed = Evaluation(status="failed", reason="no disk")
    assert "unknown: the baseline ended as failed: no disk" in text.describe_time(failed, 80.0, 8)
