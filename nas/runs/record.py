"""A run as it lies on disk, read without running anything: also while it runs, and as far as it is undamaged."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from controller.halving import FIDELITY
from evaluator.objective import Objective
from nas.config import SearchConfig
from nas.grid.checks import grid_of, of_grid
from nas.grid.config import GridConfig
from nas.grid.enumeration import Grid
from nas.grid.ways import Comparison, scale_all
from nas.history import History, Trial, fold
from nas.journal import is_locked, read
from nas.runs.base import Run
from nas.runs.deployment import space_of
from nas.runs.directory import JOURNAL
from nas.runs.header import from_header
from nas.runs.promotion import PromotingSpace
from search_space.decision import Space
from search_space.errors import InputError, one_line
from search_space.io import named

State = Literal["finished", "running", "stopped", "damaged", "empty"]


@dataclass(kw_only=True)
class RunRecord(Run):
    """What a run's journal says, and what it means."""

    path: Path
    history: History = field(default_factory=History)
    """As far as it can be read."""
    settings: SearchConfig | GridConfig | None = None
    """The header's config, typed; settings of its controller and evaluator as they stand there."""
    objective: Objective | None = None
    space: Space | None = None
    grid: tuple[GridConfig, Grid] | None = None
    """What was compared, where the run is a grid search."""
    compared: tuple[GridConfig, Comparison] | None = None
    """What was compared, where the run is a study of ways of scaling."""
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
    def config(self) -> dict[str, Any]:
        """The resolved config of the header, as plain data."""
        return self.history.config

    @property
    def seed(self) -> int:  # type: ignore[override]
        """Root of all its randomness."""
        return self.settings.seed if self.settings else 0

    @property
    def best_trial(self) -> Trial | None:
        """The trial of highest reward, the earlier one where equal; None if none succeeded.

        Of a grid's trials only the longest count: accuracies of unequal training are no match for each other.
        """
        if not self.grid:
            return self.history.best
        own = [trial for trial in of_grid(self.trials, self.grid[1]) if trial.ok]
        longest = max((trial.tokens[FIDELITY] for trial in own), default=0)
        good = [trial for trial in own if trial.tokens[FIDELITY] == longest]
        return max(good, key=lambda t: (t.reward, -t.number), default=None)

    @property
    def state(self) -> State:
        """How the run stands."""
        if self.damaged:
            return "damaged"
        if not self.config:
            return "empty"
        if self.grid:
            done = len(self.signals) >= len(self.grid[0].rungs) + len(self.grid[0].check_phi)
        elif self.compared:
            done = len(self.finished) >= len(self.compared[1].candidates) * self.compared[0].repeats
        else:
            assert isinstance(self.settings, SearchConfig)
            planned = len(self.finished) >= self.settings.trials and self.history.plan.get("open") is not True
            done = planned or len(self.finished) == self.history.ended  # an open plan's trials are no end
        if done:
            return "finished"
        return "running" if self.running else "stopped"


def load(path: Path) -> RunRecord:
    """Read the run in a directory; damage ends the reading, not the report. Nothing that it names is imported.

    Raises:
        InputError: There is no run at `path`.
    """
    journal = path / JOURNAL
    if not os.path.isfile(journal):
        raise InputError(f"{path}: not a run: there is no {JOURNAL}")
    run = RunRecord(path=path, running=is_locked(journal))
    try:
        fold(read(journal), journal, run.history)
    except InputError as error:
        _note_damage(run, str(error))
    try:
        _interpret(run)
    except InputError as error:
        run.history, run.settings, run.objective, run.space = History(), None, None, None
        run.grid, run.compared = None, None
        _note_damage(run, f"{journal}, line 1: not the header of a run: {error}")
    return run


def _note_damage(run: RunRecord, problem: str) -> None:
    run.damaged = True
    run.notices.append(f"{one_line(problem)}. Only what stands before the damage is shown.")


def _interpret(run: RunRecord) -> None:
    """Make of the header's plain data what the trials are read with."""
    if not run.config:
        return
    if "baseline" in run.config:
        settings = from_header(run.config, GridConfig)
        run.settings, run.objective = settings, settings.objective
        if settings.compare:
            compared = scale_all(settings.baseline, settings.compare, settings.ratios)
            run.compared, run.space = (settings, compared), settings.space(compared)
        else:
            grid = grid_of(settings)
            run.grid, run.space = (settings, grid), settings.space(grid)
    else:
        run.settings = search = from_header(run.config, SearchConfig)
        run.objective = search.objective
        run.space = _space(run, search)
    if run.space is not None:
        try:
            run.history.check_tokens(run.space.decisions)
        except InputError as error:
            run.space = None
            run.notices.append(f"The networks cannot be drawn: {error}")


def find_code(run: RunRecord) -> None:
    """Import the space that a record's run names, where it is Python code and the user trusts it."""
    if isinstance(run.settings, SearchConfig) and named.is_code(run.settings.space):
        run.notices.clear()
        run.space = _space(run, run.settings, trusted=True)


def _space(run: RunRecord, settings: SearchConfig, *, trusted: bool = False) -> Space | None:
    """The run's space, or None with a notice where it cannot be read."""
    try:
        if named.is_code(settings.space) and not trusted:
            raise InputError(f"{settings.space} is Python code, which reading a run does not import")
        space = space_of(settings)
    except InputError as error:
        run.notices.append(f"The networks cannot be drawn, since the search space cannot be read: {error}")
        return None
    return PromotingSpace(space, settings.promote) if settings.promote else space
