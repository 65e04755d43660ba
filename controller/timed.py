"""A controller with a stopwatch: how long it thinks, beside what it proposes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from controller.base import Controller, Outcome, Signals
from search_space.decision import Tokens


class Timed(Controller[Any]):
    """Asks and tells another controller; `seconds` is the time that it took, all in all."""

    def __init__(self, inner: Controller[Any]) -> None:
        super().__init__(inner.problem, inner.config, inner.seed)
        self.inner = inner
        self.seconds = 0.0

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """See `Controller.ask`."""
        started = time.perf_counter()
        proposals = self.inner.ask(batch, count)
        self.seconds += time.perf_counter() - started
        return proposals

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """See `Controller.tell`; what the controller believes is taken into the signals, and into the time."""
        started = time.perf_counter()
        signals = self.inner.tell(outcomes) | self.inner.beliefs()
        self.seconds += time.perf_counter() - started
        return signals
