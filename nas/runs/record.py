"""A run as it lies on disk, read without running anything: also while it runs, and as far as it is undamaged."""

from __future__ import annotations

import dataclasses
import fcntl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from controller.halving import FIDELITY
from evaluator.base import Evaluation
from evaluator.objective import Objective
from nas.grid.config import GridConfig
from nas.grid.enumeration import Grid, enumerate_grid
from nas.journal import Event, read
from nas.runs.directory import JOURNAL
from nas.runs.promotion import PromotingSpace
from nas.study import Trial
from search_space.decision import Space
from search_space.errors import InputError
from search_space.io import schema
from search_space.space import find_space

State = Literal["finished", "running", "stopped", "damaged", "empty"]


@dataclass(kw_only=True)
class RunRecord:
    """What a run's journal says."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved config of the header, as plain data."""
    versions: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    """By number, finished or not."""
    signals: list[dict[str, Any]] = field(default_factory=list)
    """What the controller reported after each batch."""
    references: dict[str, Evaluation] = field(default_factory=dict)
    """Evaluations of named networks beside the search."""
    objective: Objective | None = None
    space: Space | None = None
    grid: tuple[GridConfig, Grid] | None = None
    """What was compared, where the run is a grid search."""
    notices: list[str] = field(default_factory=list)
    """What a reader must know: damage, parts that are missing."""
    damaged: bool = False
    running: bool = False
    """Whether a process holds the journal."""

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.path.resolve().name

    @property
    def finished(self) -> list[Trial]:
        """Trials with a result, by number."""
        return [trial for trial in self.trials if trial.evaluation is not None]

    @property
    def best(self) -> Trial | None:
        """The trial of highest reward, the earlier one where equal; None if none succeeded.

        Of a grid's trials only the longest count: accuracies of unequal training are no match for each other.
        """
        longest = max((t.tokens[FIDELITY] for t in self.trials if t.ok), default=0) if self.grid else None
        good = [t for t in self.trials if t.ok and (longest is None or t.tokens[FIDELITY] == longest)]
        return max(good, key=lambda t: (t.reward, -t.number), default=None)

    @property
    def state(self) -> State:
        """How the run stands."""
        if self.damaged:
            return "damaged"
        if not self.config:
            return "empty"
        if self.grid:
            done = len(self.signals) >= len(self.grid[0].rungs)
        else:
            done = len(self.finished) >= int(self.config["trials"])
        if done:
            return "finished"
        return "running" if self.running else "stopped"


def load(path: Path) -> RunRecord:
    """Read the run in a directory; damage ends the reading, not the report.

    Raises:
        InputError: There is no run at `path`.
    """
    journal = path / JOURNAL
    if not journal.is_file():
        raise InputError(f"{path}: not a run: there is no {JOURNAL}")
    run = RunRecord(path=path, running=is_locked(journal))
    try:
        for event in read(journal):
            _take(run, event)
    except InputError as error:
        _note_damage(run, str(error))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        _note_damage(run, f"{journal}: an event is not of a search ({type(error).__name__}: {error})")
    return run


def _note_damage(run: RunRecord, problem: str) -> None:
    run.damaged = True
    run.notices.append(f"{problem}. Only what stands before the damage is shown.")


def is_locked(journal: Path) -> bool:
    """Whether a process writes to the journal."""
    with open(journal, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _take(run: RunRecord, event: Event) -> None:
    """Let one event count, as `nas.study.Study` does."""
    match event["event"]:
        case "run":
            run.config, run.versions = event["config"], event["versions"]
            if "baseline" in run.config:
                _take_grid(run)
            else:
                run.objective = _objective(run.config)
                run.space = _space(run)
        case "proposed":
            for row in event["trials"]:
                values = {"number": row["trial"], "tokens": tuple(row["tokens"]), "key": row["key"]}
                run.trials.append(Trial(**values, macs=row["macs"], params=row["params"]))
        case "finished":
            number = event["trial"]
            run.trials[number] = dataclasses.replace(
                run.trials[number],
                evaluation=evaluation(event["evaluation"]),
                reward=event["reward"],
                repeat_of=event["repeat_of"],
            )
        case "updated":
            run.signals.append(event["signals"])
        case "reference":
            run.references[event["name"]] = evaluation(event["evaluation"])


def evaluation(data: Mapping[str, Any]) -> Evaluation:
    """An evaluation of a journal whose line has passed its checksum: the fields need no second check."""
    return Evaluation(**data)


def _objective(config: Mapping[str, Any]) -> Objective:
    return Objective(target_macs=config["target_flops"], **config["objective"])


def _take_grid(run: RunRecord) -> None:
    """Set up what a grid's trials are read with; its evaluator is not needed, and so not looked for."""
    evaluator = {"name": run.config["evaluator"]["name"], "preset": run.config["evaluator"]["preset"]}
    settings = schema.from_mapping(GridConfig, {**run.config, "evaluator": evaluator}, "config")
    grid = enumerate_grid(settings.baseline, settings.bounds)
    run.grid, run.space, run.objective = (settings, grid), settings.space(grid), settings.objective


def _space(run: RunRecord) -> Space | None:
    """The run's space, or None with a notice where it can no longer be read."""
    try:
        space = find_space(run.config["space"])
    except InputError as error:
        run.notices.append(f"The networks cannot be drawn, since the search space cannot be read: {error}")
        return None
    factor = run.config.get("promote")
    return PromotingSpace(space, factor) if factor else space
