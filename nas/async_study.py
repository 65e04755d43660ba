"""A study that lets no worker wait: it learns from trials in the order they finish.

A batch of proposals is asked for as soon as a worker comes free, whatever is still in flight, so the controller has
learned from fewer trials than in a `Study`, and which ones depends on timing: the same seed no longer gives the same
search. The journal records which trials each update learned from, so a resumed run has learned the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from nas.engines.base import Engine, Job
from nas.journal import Event
from nas.study import Study, Trial


class AsyncStudy(Study):
    """A search that learns from any `batch_size` finished trials at a time."""

    def __init__(self, **arguments: Any) -> None:
        """Take up the journal where it ends; the arguments are those of `Study`."""
        self._untold: list[int] = []
        """Finished trials that are not learned from, in the order they finished."""
        super().__init__(**arguments)

    def run(self, engine: Engine) -> Iterator[Trial]:
        """Search until all trials are finished, yielding each as it finishes."""
        finished: deque[Trial] = deque()
        repeats: list[int] = []
        for number, evaluation in engine.run(self._jobs(finished, repeats)):
            finished.append(self._finish(number, evaluation, None))
            for repeat in [r for r in repeats if self._first(r) is not None]:
                repeats.remove(repeat)
                finished.append(self._finish_repeat(repeat))
            self._learn_from_full_batches()
            while finished:
                yield finished.popleft()
        yield from finished
        if self._untold:
            self._learn_from(list(self._untold))

    def _jobs(self, finished: deque[Trial], repeats: list[int]) -> Iterator[Job]:
        """The next network to train, proposed when the engine asks for it.

        Args:
            finished: Takes repeats of networks whose result is known.
            repeats: Takes repeats of networks that are in flight.
        """
        started = set()
        waiting = deque(trial.number for trial in self.trials if trial.evaluation is None)
        while waiting or (len(self.trials) < self.num_trials and self._propose()):
            waiting = waiting or deque(self._batches[-1])
            trial = self.trials[waiting.popleft()]
            identity = self._identity(trial)
            if self._first(trial.number) is not None:
                finished.append(self._finish_repeat(trial.number))
                self._learn_from_full_batches()
            elif identity in started:
                repeats.append(trial.number)
            else:
                started.add(identity)
                yield self._job(trial)

    def _first(self, number: int) -> int | None:
        """The finished trial that measured the same network in the same way; None if there is none."""
        return self._first_of.get(self._identity(self.trials[number]))

    def _finish_repeat(self, number: int) -> Trial:
        first = self._first(number)
        assert first is not None
        known = self.trials[first].evaluation
        assert known is not None
        return self._finish(number, known, first)

    def _learn_from_full_batches(self) -> None:
        while len(self._untold) >= self.batch_size:
            self._learn_from(self._untold[: self.batch_size])

    def _learn_from(self, numbers: list[int]) -> None:
        numbers = sorted(numbers)
        signals = self.controller.tell(self._outcomes(numbers)) | self.controller.beliefs()
        event: Event = {"event": "updated", "batch": len(self.signals), "trials": numbers, "signals": signals}
        self._record(event, learn=False)

    def _replay(self, event: Event, learn: bool = True) -> None:
        super()._replay(event, learn)
        if event["event"] == "finished":
            self._untold.append(event["trial"])
        elif event["event"] == "updated":
            self._untold = [number for number in self._untold if number not in event["trials"]]
