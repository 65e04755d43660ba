"""A grid search and the directory that it leaves: what `nas-grid` and `nas.grid_search` run alike."""

from __future__ import annotations

from pathlib import Path

from controller.halving import SuccessiveHalving
from nas.grid import checks, result
from nas.grid.checks import Check
from nas.grid.config import GridConfig
from nas.grid.progress import planned
from nas.grid.result import GridResult, paper_candidate
from nas.runs.scaling import ScalingRun
from search_space.architecture import Architecture


class GridRun(ScalingRun):
    """A grid search that goes on in this process. Use as a context manager, or call `close`.

    Attributes:
        settings: The resolved config.
        grid: The networks to compare.
        paper: The candidate that the paper's triple builds; None if it is outside the constraint.
        trainings: Most trainings that each rung can take, then each check.
    """

    def __init__(self, path: Path, settings: GridConfig) -> None:
        """Open the run's directory, new or to go on with.

        Raises:
            InputError: No network satisfies the constraint, another process writes to the run, or its journal is
                damaged or another's.
        """
        self.grid = checks.grid_of(settings)
        self.paper = paper_candidate(self.grid, settings)
        halving = settings.halving([] if self.paper is None else [self.paper])
        self.trainings = planned(self.grid, settings, halving)
        self._open(
            path,
            settings,
            settings.space(self.grid),
            lambda problem: SuccessiveHalving(problem, halving, settings.seed),
            sum(self.trainings),
        )

    def csv(self) -> str:
        """One row a finished trial."""
        return result.trials_csv(self.study, self.grid, self.settings)

    def conclude(self) -> GridResult:
        """Compare the finalists, and write coefficients.yaml and the family.

        Raises:
            NasError: No network was trained on all seeds, or all of them guess.
        """
        found = self._result()
        checked = checks.plain(self.checks(found), self.grid, self.settings)
        result.export(self.path, self.study, self.grid, self.settings, found, checked)
        return found

    def checks(self, found: GridResult) -> tuple[Check, ...]:
        """Whether the order of the best lasts at larger phi, as far as that was asked for and is finished."""
        return checks.compare_checks(self.trials, self.grid, self.settings, found, self.paper)

    @property
    def family(self) -> list[Architecture]:
        """The members of the finished grid, in the order of phi: 0, 1, ..., and before them those of `family_from`.

        Raises:
            NasError: No network was trained on all seeds, or all of them guess.
        """
        return list(result.members(self.settings, self._result().coefficients(self.grid)).values())

    def _result(self) -> GridResult:
        trials = checks.of_grid(self.trials, self.grid)
        return result.compare_finalists(trials, self.settings, self.paper, self.history.described)
