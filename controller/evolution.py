"""Regularized evolution: the oldest dies, the best of a random sample has a child (arXiv:1802.01548, alg. 1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from controller.base import Controller, Outcome, Problem, Signals
from controller.proposals import frequencies, repeats, select
from search_space.decision import Tokens, mutate_tokens
from search_space.errors import InputError
from search_space.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionConfig:
    """Settings of regularized evolution."""

    population: int = 15
    """How many of the latest networks may be parents; the paper's is 100, a small one learns from fewer trials."""
    sample: int = 15
    """Of how many of them, drawn at random, the best becomes the parent; the paper's is 25."""
    batch: int = 1
    """Proposals in a batch, unless the search says otherwise; children of one batch do not know each other."""
    avoid_told: bool = True
    """Whether a network that was tried before is never proposed again; the paper does not look."""

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= self.population:
            raise InputError(f"sample must be from 1 to population ({self.population}), got {self.sample}")
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, got {self.batch}")


class Evolution(Controller[EvolutionConfig]):
    """Regularized (ageing) evolution; until the population is full, uniform sampling."""

    Config = EvolutionConfig
    presets: ClassVar = {
        "default": EvolutionConfig(),
        "paper": EvolutionConfig(population=100, sample=25, avoid_told=False),
    }

    def __init__(self, problem: Problem, config: EvolutionConfig, seed: int) -> None:
        super().__init__(problem, config, seed)
        self._population: deque[Outcome] = deque(maxlen=config.population)
        self._told: set[str] = set()
        self._incumbent = -float("inf")

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """See `Controller.ask`."""
        generator = np.random.default_rng(derive_seed(self.seed, "ask", batch))
        can_mutate = any(len(decision.choices) > 1 for decision in self.problem.decisions)

        def children(missing: int) -> list[Tokens]:
            if len(self._population) < self.config.population or not can_mutate:
                return []
            return [self._child(generator) for _ in range(missing)]

        avoid = self._told if self.config.avoid_told else set()
        return select(self.problem, count, children, generator, avoid, self._incumbent)

    def _child(self, generator: np.random.Generator) -> Tokens:
        """A mutation of the best of a random sample; rejected children are drawn again, from a new parent."""
        indices = generator.choice(len(self._population), size=self.config.sample, replace=False)
        parent = max((self._population[i] for i in indices), key=lambda outcome: outcome.reward)
        return mutate_tokens(self.problem.decisions, parent.tokens, generator)

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """See `Controller.tell`; a failed network joins with its low reward, and so has no children."""
        keys = [self.problem.network(outcome.tokens) for outcome in outcomes]
        share = repeats(self._told, keys)
        self._told.update(keys)
        self._incumbent = max(self._incumbent, *(outcome.reward for outcome in outcomes))
        self._population.extend(outcomes)
        rewards = [outcome.reward for outcome in self._population]
        return {
            "repeats": share,
            "population": len(rewards),
            "population_mean": float(np.mean(rewards)),
            "population_best": float(np.max(rewards)),
            "probabilities": frequencies(self.problem.decisions, [outcome.tokens for outcome in self._population]),
        }
