"""A study of ways of scaling and the directory that it leaves: what `nas-grid --compare` runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from controller.halving import CANDIDATE, REPEAT
from controller.planned import Planned
from nas import config as configs
from nas.grid.comparison import Findings, compare_ways
from nas.grid.config import GridConfig
from nas.grid.ways import scale_all
from nas.runs.grid import ScalingRun
from search_space.cost import count
from search_space.io.files import write_atomic

COLUMNS = (
    *("trial", "way", "target_ratio", "ratio", "resolution", "repeat"),
    *("accuracy", "loss", "macs", "params", "status", "reason", "seconds", "key"),
)


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
        rows.writerow(COLUMNS)
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
            provenance = {"run": self.path.name, "baseline": self.settings.name, "versions": configs.versions()}
            text = scaled.architecture.to_yaml(name=name, metrics=metrics, provenance=provenance)
            write_atomic(self.path / "networks" / f"{scaled.name}.yaml", text)
        return compare_ways(self.trials, self.compared, self.settings, self.history.described)
