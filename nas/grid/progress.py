"""How far a grid search is: trainings of unequal length and cost, by their work."""

from __future__ import annotations

from collections.abc import Sequence

from controller.halving import CANDIDATE, FIDELITY, HalvingConfig, rung_size
from nas.grid.config import GridConfig
from nas.grid.enumeration import Grid
from nas.history import Trial
from nas.progress import SearchProgress
from nas.study import Study


def planned(grid: Grid, settings: GridConfig, halving: HalvingConfig) -> list[int]:
    """Most trainings that each rung can take: the networks kept in may be among its best anyway."""
    number = len(grid.candidates)
    sizes = [min(number, rung_size(number, rung, halving) + len(halving.seeded)) for rung in range(halving.rungs)]
    return [*sizes[:-1], sizes[-1] * settings.repeats]


def work(grid: Grid, settings: GridConfig, trainings: Sequence[int]) -> float:
    """All trainings as a multiple of one training of the baseline at the first length."""
    ratio = sum(candidate.ratio for candidate in grid.candidates) / len(grid.candidates)
    return ratio * sum(n * rung for n, rung in zip(trainings, settings.rungs, strict=True))


class GridProgress(SearchProgress):
    """Shows the rung and the time left, by the work of trainings of unequal length."""

    title = "grid"

    def __init__(self, study: Study, grid: Grid, settings: GridConfig, trainings: Sequence[int], *, quiet: bool):
        self._grid = grid
        self._settings = settings
        self._trainings = trainings
        self._all_work = work(grid, settings, trainings)
        super().__init__(study, quiet=quiet)

    def found(self) -> str:
        """The rung; scores of different rungs are no match for each other."""
        rung = self._rung()
        own = [trial for trial in self.study.trials if trial.tokens[FIDELITY] == rung]
        done = sum(trial.evaluation is not None for trial in own)
        count = str(len(own)) if own else f"at most {self._trainings[rung]}"
        trained = f"{done} of {count} trained at {self._settings.rungs[rung]}x the epochs"
        return f"rung {rung + 1} of {len(self._settings.rungs)}, {trained}"

    def num_trials(self) -> int:
        """A rung that was begun has as many as were proposed; a later one at most what was planned."""
        rung = self._rung()
        return len(self.study.trials) + sum(self._trainings[rung + bool(self.study.trials) :])

    def _rung(self) -> int:
        """The one that is worked on; its networks are proposed all at once."""
        return self.study.trials[-1].tokens[FIDELITY] if self.study.trials else 0

    def done_work(self) -> float:
        """The finished trials' share of `all_work`."""
        return sum(self._work(trial) for trial in self.study.trials if trial.evaluation is not None)

    def all_work(self) -> float:
        """See `work`."""
        return self._all_work

    def _work(self, trial: Trial) -> float:
        return self._settings.rungs[trial.tokens[FIDELITY]] * self._grid.candidates[trial.tokens[CANDIDATE]].ratio
