"""What a person sees while a search runs: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.history import Trial
from nas.study import Study
from search_space.io.amounts import format_amount, format_clock

LISTED_TRIALS = 5
"""Trials that the live view lists."""
SPARKLINE = "▁▂▃▄▅▆▇█"
FAILED = "×"  # noqa: RUF001 - a cross, as in the report


class SearchProgress:
    """Shows trials done, the best so far, the rewards and the time left. Use as a context manager."""

    title = "search"

    def __init__(self, study: Study, *, quiet: bool, console: Console | None = None) -> None:
        """Show `study`, from where its journal stands; nothing at all if `quiet`."""
        self.study = study
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        finished = [trial for trial in study.trials if trial.evaluation is not None]
        self.done = len(finished)
        self._last = deque(finished[-LISTED_TRIALS:], maxlen=LISTED_TRIALS)
        self._done_before = self.done_work()
        self._started = time.monotonic()
        self._on_terminal = self.console.is_terminal and not quiet
        self._live = Live(get_renderable=self.view, console=self.console, refresh_per_second=2)

    def update(self, trial: Trial) -> None:
        """Show a trial that has just finished."""
        self.done += 1
        self._last.append(trial)
        if not self.quiet and not self.console.is_terminal:
            self.console.print(self._line(trial), markup=False, highlight=False, soft_wrap=True)

    def view(self) -> Group:
        """The live view as it stands: progress, the best so far, the rewards in order, the last trials."""
        bar = Table.grid(padding=(0, 2))
        passed = round(time.monotonic() - self._started)
        counts = f"{self.done}/{self.num_trials()}"
        colour = ProgressBar(total=self.num_trials(), completed=self.done, width=24)
        bar.add_row(Text(self.title, "bold"), colour, counts, f"{format_clock(passed)} passed", self._time_left())
        width = max(20, min(72, self.console.width - 10))
        rewards = Text.assemble(("rewards  ", "dim"), sparkline(self.study.trials, width))
        return Group(bar, Text(self.found(), "bold"), rewards, self._last_trials())

    def _last_trials(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("trial", justify="right")
        for name in ("reward", "accuracy", "MACs", "seconds"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("")
        for trial in list(self._last):  # the view is drawn by a thread of its own
            evaluation = trial.evaluation
            assert evaluation is not None
            ok = evaluation.accuracy is not None
            note = f"same network as trial {trial.repeat_of}" if trial.repeat_of is not None else ""
            table.add_row(
                str(trial.number),
                f"{trial.reward:.4f}" if ok else "-",
                f"{evaluation.accuracy:.2%}" if ok else "-",
                format_amount(trial.macs),
                f"{evaluation.seconds:.1f}",
                Text(note, "dim") if ok else Text(f"{evaluation.status}: {evaluation.reason}", "red"),
            )
        return table

    def _line(self, trial: Trial) -> str:
        evaluation = trial.evaluation
        assert evaluation is not None
        if evaluation.accuracy is None:
            result = f"{evaluation.status}: {evaluation.reason}"
        else:
            result = f"reward {trial.reward:.4f}  accuracy {evaluation.accuracy:.2%}"
        again = f" (same network as trial {trial.repeat_of})" if trial.repeat_of is not None else ""
        count = f"{self.done}/{self.num_trials()}"
        status = f"{self.found()}  {self._time_left()}"
        return f"{count} done: trial {trial.number}  {result}  {format_amount(trial.macs)} MACs{again}  {status}"

    def found(self) -> str:
        """The best so far, in a few words."""
        best = self.study.best
        if best is None or best.evaluation is None or best.evaluation.accuracy is None:
            return "no network yet"
        return f"best {best.reward:.4f} ({best.evaluation.accuracy:.2%} at {format_amount(best.macs)} MACs)"

    def num_trials(self) -> int:
        """Trials in all, done or not."""
        return self.study.num_trials

    def done_work(self) -> float:
        """Work that is done, in any unit that is proportional to time."""
        return self.done

    def all_work(self) -> float:
        """All the work there is, done or not, in the same unit."""
        return self.num_trials()

    def _time_left(self) -> str:
        done = self.done_work()
        if done <= self._done_before:
            return "time left unknown"
        pace = (time.monotonic() - self._started) / (done - self._done_before)
        return f"{format_clock(round(pace * max(0.0, self.all_work() - done)))} left"

    def __enter__(self) -> SearchProgress:
        if self._on_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._on_terminal:
            self._live.stop()


def sparkline(trials: list[Trial], width: int) -> Text:
    """The rewards of the last `width` finished trials as bars, the whole run's range high; failures as crosses."""
    finished = [trial for trial in trials if trial.evaluation is not None]
    rewards = [trial.reward for trial in finished if trial.ok and trial.reward is not None]
    low, high = min(rewards, default=0.0), max(rewards, default=0.0)
    line = Text()
    for trial in finished[-width:]:
        if not trial.ok or trial.reward is None:
            line.append(FAILED, "red")
        else:
            level = (trial.reward - low) / (high - low) if high > low else 1.0
            line.append(SPARKLINE[round(level * (len(SPARKLINE) - 1))], "green" if trial.reward == high else "cyan")
    return line
