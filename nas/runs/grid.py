"""Runs over scaled networks and the directories that they leave: what `nas-grid` and `nas.grid_search` run alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from controller.base import Controller, Problem
from controller.halving import CANDIDATE, REPEAT, SuccessiveHalving
from controller.planned import Planned
from evaluator.base import Evaluation
from nas import config
from nas.engines.base import Engine
from nas.grid import checks, result
from nas.grid.candidates import CandidateSpace
from nas.grid.checks import Check
from nas.grid.comparison import Findings, compare_ways
from nas.grid.config import GridConfig
from nas.grid.progress import planned
from nas.grid.result import GridResult, paper_candidate
from nas.grid.ways import scale_all
from nas.history import GROWING, History, Trial
from nas.problem import make_problem
from nas.runs import directory
from nas.runs.base import Run
from nas.runs.directory import BASELINE
from nas.study import Study
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io.files import write_atomic

_COLUMNS = (
    *("trial", "way", "target_ratio", "ratio", "resolution", "repeat"),
    *("accuracy", "loss", "macs", "params", "status", "reason", "seconds", "key"),
)


class ScalingRun(Run):
    """What a grid search and a study of ways of scaling have in common. Use as a context manager, or call `close`.

    Attributes:
        settings: The resolved config.
        trainings: Most trainings that each part of the run can take, in order.
    """

    settings: GridConfig
    trainings: list[int]

    def _open(
        self,
        path: Path,
        settings: GridConfig,
        space: CandidateSpace,
        controller: Callable[[Problem], Controller[Any]],
        batch_size: int,
    ) -> None:
        """Open the run's directory, new or to go on with; `trainings` is set.

        Raises:
            InputError: Another process writes to the run, or its journal is damaged or another's.
        """
        config.use_one_thread()
        self.path = path
        self.settings = settings
        self.seed = settings.seed
        self.space = space
        self._journal = directory.open_journal(path, settings)
        try:
            self.study = Study(
                space=space,
                objective=settings.objective,
                controller=controller(make_problem(space, settings.objective, None)),
                journal=self._journal,
                num_trials=sum(self.trainings),
                batch_size=batch_size,
                seed=settings.seed,
            )
            now = {name: list(getattr(settings, name)) for name in sorted(GROWING)}
            if longer := {name: own for name, own in now.items() if own != self.history.config.get(name, [])}:
                self.study.record({"event": "extended", **longer})
        except BaseException:
            self._journal.close()
            raise

    @property
    def history(self) -> History:  # type: ignore[override]
        """All that the journal says."""
        return self.study.history

    def time_baseline(self, engine: Engine) -> Evaluation:
        """The baseline's evaluation, once a run."""
        directory.record_description(self.study, engine)
        self.study.evaluate_references({BASELINE: self.settings.baseline}, engine)
        return self.references[BASELINE]

    def run(self, engine: Engine) -> Iterator[Trial]:
        """Train what is left, yielding each trial as it finishes."""
        for trial in self.study.run(engine):
            write_atomic(self.path / "trials.csv", self.csv())
            yield trial

    def csv(self) -> str:
        """One row a finished trial."""
        raise NotImplementedError

    def close(self) -> None:
        """Let others write to the run."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


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


class ComparisonRun(ScalingRun):
    """A study that goes on in this process. Use as a context manager, or call `close`.

    Attributes:
        settings: The resolved config.
        compared: The networks to compare.
        trainings: Those of the baseline and the first cost, then of each other cost.
    """

    def __init__(self, path: Path, settings: GridConfig) -> None:
        """Open the run's directory, new or to go on with.

        Raises:
            InputError: A way does not reach a target, another process writes to the run, or its journal is damaged or
                another's.
        """
        self.compared = scale_all(settings.baseline, settings.compare, settings.ratios)
        ways, repeats = len(settings.compare), range(1, settings.repeats + 1)
        groups = [list(range(1 + ways))]
        groups += [list(range(1 + i * ways, 1 + (i + 1) * ways)) for i in range(1, len(settings.ratios))]
        plan = [(number, 0, repeat) for group in groups for repeat in repeats for number in group]
        self.trainings = [len(group) * settings.repeats for group in groups]
        space = settings.space(self.compared)
        self._open(path, settings, space, lambda problem: Planned(problem, plan), self.trainings[0])

    def csv(self) -> str:
        """One row a finished training."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(_COLUMNS)
        for trial in self.trials:
            if (e := trial.evaluation) is None:
                continue
            scaled = self.compared.candidates[trial.tokens[CANDIDATE]]
            what = (scaled.way, scaled.aim, round(scaled.ratio, 4), scaled.architecture.resolution)
            loss = e.losses[-1] if e.losses else None
            result = (e.accuracy, loss, trial.macs, trial.params, e.status, e.reason, round(e.seconds, 3), trial.key)
            rows.writerow((trial.number, *what, trial.tokens[REPEAT], *result))
        return text.getvalue()

    def conclude(self) -> Findings:
        """Compare the ways, and write the networks.

        Raises:
            NasError: At no cost two ways were trained on all seeds, or all networks guess.
        """
        for scaled in self.compared.candidates:
            name, cost = f"{self.settings.name}-{scaled.name}", count(scaled.architecture)
            metrics = {"macs": cost.macs, "params": cost.params}
            provenance = {"run": self.path.name, "baseline": self.settings.name, "versions": config.versions()}
            text = scaled.architecture.to_yaml(name=name, metrics=metrics, provenance=provenance)
            write_atomic(directory.inside(self.path, "networks", f"{scaled.name}.yaml"), text)
        return compare_ways(self.trials, self.compared, self.settings, self.history.described)
