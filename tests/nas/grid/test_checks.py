from __future__ import annotations

from typing import Any

import pytest

from nas.grid import checks
from nas.grid import config as grid_config
from nas.grid.coefficients import PAPER
from nas.grid.enumeration import Grid
from nas.grid.result import GridResult, compare_finalists, paper_candidate
from nas.grid.ways import NEAR
from nas.history import Trial
from nas.statistics import paired_difference
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from tests.nas.grid.test_comparison import trained

B0 = Architecture.load("efficientnet-b0")


def settings(**changes: Any) -> grid_config.GridConfig:
    base = {"name": "b0", "baseline": B0, "rungs": [1], "repeats": 3, "check_phi": [2, 3], "step": 0.1}
    return grid_config.resolve([{**base, "evaluator": "tests.toys:ToyEvaluator", **changes}])


OWN = settings()
GRID = checks.grid_of(OWN)
NUMBER = len(GRID.candidates)


def test_networks_at_larger_phi_really_cost_the_same() -> None:
    assert len(GRID.checks) == 2 * NUMBER
    assert GRID.networks_to_train == (*GRID.candidates, *GRID.checks)
    paper = paper_candidate(GRID, OWN)
    assert paper is not None
    for index, candidate in enumerate(GRID.checks):
        check, number = divmod(index, NUMBER)
        phi = (2, 3)[check]
        assert candidate.ratio == count(candidate.architecture).macs / count(B0).macs
        assert abs(candidate.ratio / 2**phi - 1) <= NEAR
        assert checks.phi_of(NUMBER + index, GRID, OWN) == phi
        assert candidate.coefficients == (PAPER if number == paper else GRID.candidates[number].coefficients)
    assert checks.phi_of(0, GRID, OWN) == 1
    assert checks.grid_of(settings(check_phi=[])).checks == ()
    assert checks.aim(settings(phi=2, tolerance=0.5, band=0.3, check_phi=[3]), 3) == pytest.approx(8)


def test_what_cannot_be_built_is_named() -> None:
    with pytest.raises(InputError, match=r"--check-phi 9: alpha / beta / gamma = .* layers"):
        checks.grid_of(settings(check_phi=[9]))


def run(grid: list[list[float]], *later: dict[int, list[float]]) -> tuple[list[Trial], GridResult]:
    """A grid's last rung, networks 0 to 2, and what checks gave them."""
    results: dict[int, list[float | None]] = {number: [*values] for number, values in enumerate(grid)}
    for check, found in enumerate(later, 1):
        results |= {check * NUMBER + number: [*values] for number, values in found.items()}
    trials = trained(results)
    return trials, compare_finalists(checks.of_grid(trials, GRID), OWN, 2, {})


def compare(grid: list[list[float]], *later: dict[int, list[float]]) -> tuple[checks.Check, ...]:
    trials, found = run(grid, *later)
    return checks.compare_checks(trials, GRID, OWN, found, 2)


BEST, SECOND, PAPERS = [0.7, 0.71, 0.72], [0.68, 0.7, 0.69], [0.6, 0.61, 0.63]


def test_the_order_held_or_it_did_not() -> None:
    held, lost = compare([BEST, SECOND, PAPERS], {0: BEST, 1: SECOND, 2: PAPERS}, {0: PAPERS, 1: SECOND, 2: BEST})
    assert (held.phi, held.held, lost.phi, lost.held) == (2, True, 3, False)
    assert [score.candidate for score in lost.scores] == [0, 1, 2]
    assert dict(lost.leads) == {
        1: paired_difference(PAPERS, SECOND, 6),  # three pairs at each of two phis
        2: paired_difference(PAPERS, BEST, 6),
    }


def test_a_check_that_is_not_finished_says_nothing() -> None:
    assert compare([BEST, SECOND, PAPERS]) == ()
    (only,) = compare([BEST, SECOND, PAPERS], {0: BEST, 1: SECOND, 2: PAPERS}, {0: BEST, 1: SECOND})
    assert only.phi == 2
    assert compare([BEST]) == ()


def test_the_grids_own_result_is_of_its_own_phi() -> None:
    trials, found = run([SECOND, PAPERS], {0: BEST, 1: BEST})
    assert [score.candidate for score in found.scores] == [0, 1]
    assert len(checks.of_grid(trials, GRID)) == 6


def test_as_plain_data() -> None:
    trials, found = run([BEST, SECOND, PAPERS], {0: BEST, 1: SECOND, 2: PAPERS})
    grid: Grid = GRID
    (row,) = checks.plain(checks.compare_checks(trials, grid, OWN, found, 2), grid, OWN)
    assert (row["phi"], row["order_held"], len(row["networks"]), len(row["against"])) == (2, True, 3, 2)
    assert row["networks"][0]["ratio"] == round(GRID.checks[0].ratio, 4)
    assert row["networks"][0]["accuracy"] == 0.71
