from __future__ import annotations

from typing import Any

from nas.grid import config as grid_config
from nas.grid import text
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
    finding = GridResult(scores=(score,), against=(("runner-up", 1, near), ("paper", 8, far)))
    first, second = text.verdicts(grid, finding, paper=8)
    assert first == (
        "Against the runner-up, 1 / 1.05 / 1.29018: +1.00 points of accuracy, standard error 2.00, "
        "95% interval -3.00 to +5.00: not distinguishable"
    )
    assert second.startswith("Against the paper's 1.2 / 1.1 / 1.15 (as 1.25 / 1.1 / 1.00446): +10.00 points")
    assert second.endswith(": distinguishable")
    alone = GridResult(scores=(score,), against=())
    assert list(text.verdicts(grid, alone, paper=0)) == [
        "The winner is the network that the paper's 1.2 / 1.1 / 1.15 builds"
    ]
    assert "outside the constraint" in next(iter(text.verdicts(grid, alone, paper=None)))
    assert "not trained on all seeds" in next(iter(text.verdicts(grid, alone, paper=8)))
