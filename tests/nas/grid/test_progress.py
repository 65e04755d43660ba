from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.commands.grid import main
from nas.grid import config as grid_config
from nas.grid import progress
from nas.grid.enumeration import enumerate_grid
from nas.runs.grid import GridRun
from nas.runs.header import from_header
from nas.runs.record import load
from search_space.architecture import Architecture

B0 = Architecture.load("efficientnet-b0")


def settings(**changes: Any) -> grid_config.GridConfig:
    return grid_config.resolve([{"name": "b0", "baseline": B0, "rungs": [1, 2, 4], "repeats": 3, **changes}])


def test_the_plan_counts_trainings_and_their_work() -> None:
    own = settings()
    grid = enumerate_grid(B0, own.bounds)
    trainings = progress.planned(grid, own, own.halving([8]))
    assert trainings == [16, 9, 9]
    mean = sum(candidate.ratio for candidate in grid.candidates) / 16
    assert progress.work(grid, own, trainings) == mean * (16 + 2 * 9 + 4 * 9)
    assert progress.planned(grid, own, own.halving([])) == [16, 8, 6]


def test_the_rung_and_its_trainings_are_shown(tmp_path: Path) -> None:
    argv = ["--arch", "efficientnet-b0", "--phi", "1", "--evaluator", "tests.toys:ToyEvaluator", "--quiet"]
    assert main([*argv, "--run-dir", str(tmp_path / "grid")]) == 0
    with GridRun(tmp_path / "grid", from_header(load(tmp_path / "grid").config, grid_config.GridConfig)) as run:
        shown = progress.GridProgress(run.study, run.grid, run.settings, run.trainings, quiet=True)
        last = sum(trial.tokens[1] == 2 for trial in run.trials)
        assert shown.found() == f"rung 3 of 3, {last} of {last} trained at 3x the epochs"
        assert shown.num_trials() == len(run.trials) <= sum(run.trainings)
        first = [trial for trial in run.trials if trial.tokens[1] == 0]
        del run.trials[len(first) :]
        assert shown.found() == f"rung 1 of 3, {len(first)} of {len(first)} trained at 1x the epochs"
        assert shown.num_trials() == len(first) + sum(run.trainings[1:])
        run.trials.clear()
        assert shown.found() == f"rung 1 of 3, 0 of at most {run.trainings[0]} trained at 1x the epochs"
        assert shown.num_trials() == sum(run.trainings)
