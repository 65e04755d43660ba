"""A study that lets no worker wait: it learns from trials in the order they finish.

A batch of proposals is asked for as soon as a worker comes free, whatever is still in flight, so the controller has
learned from fewer trials than in a `Study`, and which ones depends on timing: the same seed no longer gives the same
search. The journal records which trials each update learned from, so a resumed run has learned the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from evaluator.base import Evaluation
from nas.engines.base import Engine, Job
from nas.history import Trial
from nas.journal import uninterrupted
from nas.study import Study


class AsyncStudy(Study):
    """A search that learns from any `batch_size` finished trials at a time."""

    def __init__(self, **arguments: Any) -> None:
        """Take up the journal where it ends; the arguments are those of `Study`."""
        super().__init__(**arguments)
        learned = {number for numbers in self.history.learned_from for number in numbers}
        self._untold = [trial.number for trial in self.history.finished if trial.number not in learned]
        """Finished trials that are not learned from, in the order they finished."""

    def run(self, engine: Engine) -> Iterator[Trial]:
        """Search until all trials are finished, yielding each as it finishes."""
        finished: deque[Trial] = deque()
        repeats: list[int] = []
        for number, evaluation in engine.run(self._jobs(finished, repeats)):
            finished.append(self._finish(number, evaluation, None))
            for repeat in repeats.copy():
                if (first := self._first(repeat)) is not None:
                    repeats.remove(repeat)
                    finished.append(self._finish_repeat(repeat, first))
            self._learn_whole()
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
        while waiting or (self._wants_more() and self._propose(self._room())):
            waiting = waiting or deque(self.history.batches[-1])
            trial = self.trials[waiting.popleft()]
            identity = self._identity(trial)
            if (first := self._first(trial.number)) is not None:
                finished.append(self._finish_repeat(trial.number, first))
                self._learn_whole()
            elif identity in started:
                repeats.append(trial.number)
            else:
                started.add(identity)
                yield self._job(trial)

    def _first(self, number: int) -> int | None:
        """The finished trial that measured the same network in the same way; None if there is none."""
        return self._first_of.get(self._identity(self.trials[number]))

    def _unfinished(self) -> list[Trial]:
        """Those of all batches: updates do not go by batches here."""
        return [trial for trial in self.trials if trial.evaluation is None and trial.number not in self._asked]

    def _room(self) -> int:
        return min(self.batch_size, self.num_trials - len(self.trials))

    def _finish(self, number: int, evaluation: Evaluation, repeat_of: int | None) -> Trial:
        with uninterrupted():
            trial = super()._finish(number, evaluation, repeat_of)
            self._untold.append(number)
        return trial

    def _learn_whole(self) -> None:
        """Learn from as many trials as a batch has, whichever they are."""
        while len(self._untold) >= self.batch_size:
            self._learn_from(self._untold[: self.batch_size])

    def _learn_from(self, numbers: list[int]) -> None:
        numbers = sorted(numbers)
        with uninterrupted():
            signals = self.controller.tell(self._outcomes(numbers)) | self.controller.beliefs()
            self.record({"event": "updated", "batch": len(self.signals), "trials": numbers, "signals": signals})
            self._untold = [number for number in self._untold if number not in numbers]
