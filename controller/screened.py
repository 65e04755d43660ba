"""Screening: ask another strategy for more than is needed, and let a cheap score choose what is evaluated.

A wrapper: it knows neither the strategy nor the score. A share of every batch is drawn from what the score turned
down, so that the screen's own error shows in the rewards. The strategy is told what was evaluated: a policy gradient
then learns from proposals that the screen has chosen from its own, which leans it towards what the score likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from controller.base import Controller, Outcome, Signals
from search_space.decision import Tokens
from search_space.seeding import derive_seed

UNSCREENED = 0.2
"""Share of a batch that is drawn from what the screen turned down, rounded up; none in a batch of one."""


class Screened(Controller[Any]):
    """The inner strategy's proposals, screened. Batches must be told whole and in trial order."""

    def __init__(self, inner: Controller[Any], score: Callable[[Tokens], float], ratio: int) -> None:
        """Wrap a strategy.

        Args:
            inner: What proposes and learns.
            score: How promising a proposal is; deterministic, more is better.
            ratio: How many times the batch the inner strategy is asked for.
        """
        super().__init__(inner.problem, inner.config, inner.seed)
        self.inner = inner
        self._score = score
        self._ratio = ratio

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """The most promising proposals, best first, then some that were turned down."""
        proposals = self.inner.ask(batch, count * self._ratio)
        if len(proposals) <= count:
            return proposals
        ranked = sorted(proposals, key=self._score, reverse=True)  # stable: equal scores stay in the order proposed
        chosen, rest = ranked[: count - unscreened(count)], ranked[count - unscreened(count) :]
        generator = np.random.default_rng(derive_seed(self.seed, "unscreened", batch))
        drawn = sorted(generator.choice(len(rest), unscreened(count), replace=False).tolist())
        return chosen + [rest[i] for i in drawn]

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """What the inner strategy reports, and the mean rewards on either side of the screen."""
        rewards = [outcome.reward for outcome in outcomes]
        passed = len(rewards) - unscreened(len(rewards))
        sides = {"screened": rewards[:passed], "unscreened": rewards[passed:]}
        means = {f"{side}_reward": float(np.mean(values)) for side, values in sides.items() if values}
        return self.inner.tell(outcomes) | means

    def beliefs(self) -> Signals:
        """The inner strategy's."""
        return self.inner.beliefs()


def unscreened(count: int) -> int:
    """How many of a batch are drawn from what the screen turned down."""
    return math.ceil(UNSCREENED * count) if count > 1 else 0
