from __future__ import annotations

from typing import Any

from nas.grid import config as grid_config
from nas.grid import progress
from nas.grid.enumeration import enumerate_grid
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
