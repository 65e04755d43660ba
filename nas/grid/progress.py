"""How far a grid search or a study is: trainings of unequal length and cost, by their work."""

from __future__ import annotations

from collections.abc import Sequence

from controller.halving import CANDIDATE, FIDELITY, HalvingConfig, rung_size
from nas.grid.checks import aim, phi_of
from nas.grid.config import GridConfig
from nas.grid.enumeration import Grid
from nas.grid.ways import Comparison
from nas.history import Trial
from nas.progress import SearchProgress
from nas.study import Study


def planned(grid: Grid, settings: GridConfig, halving: HalvingConfig) -> list[int]:
    """Most trainings that each rung and each check can take: the networks kept in may be among its best anyway."""
    number, kept_in = len(grid.candidates), len(halving.seeded)
    sizes = [min(number, rung_size(number, rung, halving) + kept_in) for rung in range(halving.rungs)]
    again = min(sizes[-1], 2 + kept_in)
    return [*sizes[:-1], *(size * settings.repeats for size in (sizes[-1], *[again] * halving.checks))]


def work(grid: Grid, settings: GridConfig, trainings: Sequence[int]) -> float:
    """All trainings as a multiple of one training of the baseline at the first length."""
    ratio = sum(candidate.ratio for candidate in grid.candidates) / len(grid.candidates)
    ratios = [*[ratio] * len(settings.rungs), *(aim(settings, phi) for phi in settings.check_phi)]
    rungs = [*settings.rungs, *[settings.rungs[-1]] * len(settings.check_phi)]
    return sum(n * rung * costs for n, rung, costs in zip(trainings, rungs, ratios, strict=True))


def study_work(compared: Comparison, settings: GridConfig) -> float:
    """As `work`, of a study of ways of scaling."""
    return sum(scaled.ratio for scaled in compared.candidates) * settings.repeats * settings.rungs[0]


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
        rung, check = self._now()
        own = [trial for trial in self.study.trials if self._part(trial) == (rung, check)]
        done = sum(trial.evaluation is not None for trial in own)
        count = str(len(own)) if own else f"at most {self._trainings[rung + check]}"
        trained = f"{done} of {count} trained at {self._settings.rungs[rung]}x the epochs"
        if check:
            phi = phi_of(self.study.trials[-1].tokens[CANDIDATE], self._grid, self._settings)
            return f"check at phi {phi:g}, {trained}"
        return f"rung {rung + 1} of {len(self._settings.rungs)}, {trained}"

    def num_trials(self) -> int:
        """A rung or check that was begun has as many as were proposed; a later one at most what was planned."""
        begun = sum(self._now()) + bool(self.study.trials)
        return len(self.study.trials) + sum(self._trainings[begun:])

    def _now(self) -> tuple[int, int]:
        """The rung and the check that are worked on; their networks are proposed all at once."""
        return self._part(self.study.trials[-1]) if self.study.trials else (0, 0)

    def done_work(self) -> float:
        """The finished trials' share of `all_work`."""
        return sum(self._work(trial) for trial in self.study.trials if trial.evaluation is not None)

    def all_work(self) -> float:
        """See `work`."""
        return self._all_work

    def _part(self, trial: Trial) -> tuple[int, int]:
        return trial.tokens[FIDELITY], trial.tokens[CANDIDATE] // len(self._grid.candidates)

    def _work(self, trial: Trial) -> float:
        network = self._grid.networks_to_train[trial.tokens[CANDIDATE]]
        return self._settings.rungs[trial.tokens[FIDELITY]] * network.ratio


class ComparisonProgress(SearchProgress):
    """Shows the cost that is trained and the time left, by the work of networks of unequal cost."""

    title = "study"

    def __init__(self, study: Study, compared: Comparison, settings: GridConfig, *, quiet: bool):
        self._compared = compared
        self._settings = settings
        super().__init__(study, quiet=quiet)

    def found(self) -> str:
        """The largest cost that was reached, and how many of its networks are trained."""
        started = [self._compared.candidates[t.tokens[CANDIDATE]].aim for t in self.study.trials if t.evaluation]
        cost = max(started, default=1.0)
        each = len(self._settings.compare) if cost > 1 else 1
        return f"{started.count(cost)} of {each * self._settings.repeats} trained at {cost:g}x the cost"

    def done_work(self) -> float:
        """The finished trials' share of `all_work`."""
        done = (t.tokens[CANDIDATE] for t in self.study.trials if t.evaluation is not None)
        return sum(self._compared.candidates[number].ratio for number in done) * self._settings.rungs[0]

    def all_work(self) -> float:
        """See `study_work`."""
        return study_work(self._compared, self._settings)
