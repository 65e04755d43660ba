"""What a person sees while a search runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nas.amounts import format_amount
from nas.study import Study, Trial


class SearchProgress:
    """Shows trials done, the best so far and the time left. Use as a context manager."""

    title = "search"

    def __init__(self, study: Study, *, quiet: bool, console: Console | None = None) -> None:
        """Show `study`, from where its journal stands; nothing at all if `quiet`."""
        self.study = study
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self.done = sum(trial.evaluation is not None for trial in study.trials)
        self._done_before = self.done_work()
        self._started = time.monotonic()
        columns = (
            TextColumn(self.title),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        self._live = Progress(*columns, console=self.console, disable=quiet or not self.console.is_terminal)
        self._task = self._live.add_task(self._status(), total=study.num_trials, completed=self.done)

    def update(self, trial: Trial) -> None:
        """Show a trial that has just finished."""
        self.done += 1
        self._live.update(self._task, completed=self.done, description=self._status())
        if not self.quiet and not self.console.is_terminal:
            self.console.print(self._line(trial), markup=False, highlight=False, soft_wrap=True)

    def _line(self, trial: Trial) -> str:
        evaluation = trial.evaluation
        assert evaluation is not None
        if evaluation.accuracy is None:
            result = f"{evaluation.status}: {evaluation.reason}"
        else:
            result = f"reward {trial.reward:.4f}  accuracy {evaluation.accuracy:.2%}"
        again = f" (same network as trial {trial.repeat_of})" if trial.repeat_of is not None else ""
        count = f"{self.done}/{self.study.num_trials}"
        return f"trial {trial.number} [{count}]  {result}  {format_amount(trial.macs)} MACs{again}  {self._status()}"

    def found(self) -> str:
        """The best so far, in a few words."""
        best = self.study.best
        if best is None or best.evaluation is None or best.evaluation.accuracy is None:
            return "no network yet"
        return f"best {best.reward:.4f} ({best.evaluation.accuracy:.2%} at {format_amount(best.macs)} MACs)"

    def done_work(self) -> float:
        """Work that is done, in any unit that is proportional to time."""
        return self.done

    def all_work(self) -> float:
        """All the work there is, done or not, in the same unit."""
        return self.study.num_trials

    def _status(self) -> str:
        return f"{self.found()}  {self._time_left()}"

    def _time_left(self) -> str:
        done = self.done_work()
        if done <= self._done_before:
            return "time left unknown"
        pace = (time.monotonic() - self._started) / (done - self._done_before)
        seconds = pace * max(0.0, self.all_work() - done)
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes}:{seconds:02d} left"

    def __enter__(self) -> SearchProgress:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()
