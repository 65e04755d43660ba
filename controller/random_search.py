"""Random search: uniform over the decisions, never the same network twice. The bar that every strategy must clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from controller.base import Controller, Outcome, Problem, Signals
from controller.proposals import frequencies, repeats, select
from search_space.decision import Tokens
from search_space.errors import InputError
from search_space.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomConfig:
    """Settings of random search."""

    batch: int = 8
    """Proposals in a batch, unless the search says otherwise."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, got {self.batch}")


class RandomSearch(Controller[RandomConfig]):
    """Uniform sampling without replacement."""

    Config = RandomConfig
    presets: ClassVar = {"default": RandomConfig()}

    def __init__(self, problem: Problem, config: RandomConfig, seed: int) -> None:
        super().__init__(problem, config, seed)
        self._told: set[str] = set()
        self._incumbent = -float("inf")

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """See `Controller.ask`."""
        generator = np.random.default_rng(derive_seed(self.seed, "ask", batch))
        return select(self.problem, count, lambda _: (), generator, self._told, self._incumbent)

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """See `Controller.tell`; remembers only which networks were tried."""
        batch = [outcome.tokens for outcome in outcomes]
        keys = [self.problem.network(tokens) for tokens in batch]
        share = repeats(self._told, keys)
        self._told.update(keys)
        self._incumbent = max(self._incumbent, *(outcome.reward for outcome in outcomes))
        return {"repeats": share, "probabilities": frequencies(self.problem.decisions, batch)}
