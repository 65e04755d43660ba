"""How long a run has worked, over all its processes, and whether there is time for more.

A thread notes the time in the journal a few hundred times a run, so that a process that is killed loses little of it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from nas.runs.time_plan import AIM, MOST_TRIALS, Plan, wall
from nas.study import Study
from search_space.errors import NasError

NOTES = 200
"""How often the time is noted in a run, at least."""
LEAST_SECS = 1.0
"""Between two notes."""
MOST_END_SECS = 15.0
"""Ending takes about as long as starting on the same machine, busy as it is: files to load, files to write; this much
at most, since what started long read its images."""


class Clock:
    """The time of one run: begins when it is made. Use as a context manager, or call `close`."""

    def __init__(
        self, study: Study, plan: Plan, seconds: float, started: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        Args:
            study: Whose journal the time is noted in.
            plan: What was planned.
            seconds: The time that there is.
            started: `now()` when this process began to work on the run.
            now: Tells the time, seconds.
        """
        self.study = study
        self.plan = plan
        self.seconds = seconds
        self.workers = plan.workers
        """Trainings at a time in this process."""
        self._now = now
        self._noted = started
        self._end = min(now() - started, MOST_END_SECS)
        self._closed = threading.Event()
        self._noting = threading.Lock()
        self._note()
        self._thread = threading.Thread(target=self._keep_noting, name="clock", daemon=True)
        self._thread.start()

    @property
    def worked(self) -> float:
        """Seconds of work on the run so far."""
        with self._noting:
            return self.study.history.worked + self._now() - self._noted

    def each(self) -> float:
        """Seconds of a training on one worker: of those that are finished, else as planned."""
        seconds = [t.evaluation.seconds for t in self.study.trials if t.evaluation and t.repeat_of is None]
        return sum(seconds) / len(seconds) if seconds else self.plan.seconds

    def has_time(self) -> bool:
        """Whether another batch, and what follows the search, ends in time; the first one is tried in any case."""
        trials, batch = len(self.study.trials), self.study.batch_size
        rounds = math.ceil(batch / self.workers)
        after = wall(self.plan.reserve.trainings(trials + batch), self.each(), self.workers)
        return not trials or self.worked + rounds * self.each() + after + self._end <= AIM * self.seconds

    def wants_more(self) -> bool:
        """Whether to go on beyond the planned trials: the last batch still found networks that were not tried."""
        last = self.study.trials[-self.study.batch_size :]
        new = any(trial.repeat_of is None for trial in last)
        return self.plan.open and new and len(self.study.trials) < MOST_TRIALS and self.has_time()

    def trainings_left(self) -> float:
        """Trainings as long as the search's that still end in time, with the final after them."""
        left = AIM * self.seconds - self.worked - self._end
        final = self.plan.reserve.final + self.plan.reserve.final_share * len(self.study.trials)
        return max(0.0, left / wall(1, max(self.each(), 1e-6), self.workers) - final)

    def fits(self, trainings: int, seconds: float) -> bool:
        """Whether so many trainings of so many seconds each on one worker, and the end, are done in time."""
        return self.worked + math.ceil(trainings / self.workers) * seconds + self._end <= self.seconds

    def _keep_noting(self) -> None:
        try:
            while not self._closed.wait(max(LEAST_SECS, self.seconds / NOTES)):
                self._note()
        except NasError:
            return  # the search meets it at its own next line

    def _note(self) -> None:
        with self._noting:
            now = self._now()
            self.study.record({"event": "worked", "seconds": round(now - self._noted, 3)})
            self._noted = now

    def close(self) -> None:
        """Stop, and note the time."""
        if not self._closed.is_set():
            self._closed.set()
            self._thread.join()
            with suppress(NasError):  # what ended the run is what counts
                self._note()

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
