"""Two fidelities in one strategy: the most promising quarter of every batch is trained on, several times longer.

The last token of a proposal says how long to train. The inner strategy learns from both fidelities on one scale: what
was trained on counts with its long reward, the others with their short one plus what training on has gained so far.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from controller.base import Controller, Outcome, Signals
from search_space.decision import Tokens

SHARE = 0.25
"""Share of a batch that is trained on, rounded up."""
SHORT, LONG = 0, 1


class Promoting(Controller[Any]):
    """The inner strategy's batches, each followed by one of its best, trained on. Batches must be told whole."""

    def __init__(self, inner: Controller[Any]) -> None:
        """Wrap a strategy over the space without the training decision."""
        super().__init__(inner.problem, inner.config, inner.seed)
        self.inner = inner
        self._waiting: list[Outcome] = []
        """A batch told but not yet trained on."""
        self._gains: list[tuple[float, float]] = []
        """What training on has added to reward and accuracy, a network."""
        self._best = -math.inf
        """The highest reward that was measured: an estimate above it would be one that nothing may be able to beat."""

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """The best of the batch before, or the inner strategy's next batch."""
        if self._waiting:
            return [(*tokens[:-1], LONG) for tokens in promising(self._waiting)[:count]]
        return [(*tokens, SHORT) for tokens in self.inner.ask(batch, count)]

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """Keep a short batch until its best are trained on; then let the inner strategy learn from the whole.

        What earlier searches found is of the space without the training decision, and is learned as it is.
        """
        if all(len(outcome.tokens) == len(self.problem.decisions) for outcome in outcomes):
            return self.inner.tell(outcomes)
        self._best = max([self._best, *(outcome.reward for outcome in outcomes)])
        if not self._waiting and promising(outcomes):
            self._waiting = list(outcomes)
            return {"promoted": len(promising(outcomes))}
        short, self._waiting = self._waiting or list(outcomes), []
        longer = {o.tokens[:-1]: o for o in outcomes if o.tokens[-1] == LONG}
        for before in short:
            after = longer.get(before.tokens[:-1])
            if after and after.accuracy is not None and before.accuracy is not None:
                self._gains.append((after.reward - before.reward, after.accuracy - before.accuracy))
        gain = np.mean(self._gains or [(0.0, 0.0)], axis=0).tolist()
        told = [_on_one_scale(o, longer.get(o.tokens[:-1]), gain, self._best) for o in short]
        return self.inner.tell(told) | {"gain": gain[0]}

    def beliefs(self) -> Signals:
        """The inner strategy's, once it was told the batch."""
        return {} if self._waiting else self.inner.beliefs()


def _on_one_scale(short: Outcome, longer: Outcome | None, gain: Sequence[float], best: float) -> Outcome:
    if longer is not None or short.accuracy is None:
        return dataclasses.replace(longer or short, tokens=short.tokens[:-1])
    accuracy = min(1.0, max(0.0, short.accuracy + gain[1]))
    return Outcome(tokens=short.tokens[:-1], reward=min(short.reward + gain[0], best), accuracy=accuracy)


def promising(outcomes: Sequence[Outcome]) -> list[Tokens]:
    """The best distinct quarter of a short batch, best first; failed networks are never promoted."""
    ok = sorted((o for o in outcomes if o.accuracy is not None), key=lambda o: -o.reward)
    distinct = list(dict.fromkeys(o.tokens for o in ok))
    return distinct[: math.ceil(SHARE * len(outcomes))]
