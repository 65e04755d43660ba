"""Model-guided REINFORCE: the LSTM policy learns from a model of accuracy, the model from the evaluations.

A Gaussian process of accuracy is fitted to all that was evaluated; before that it believes a guess, such as the
number of parameters. The policy is trained by REINFORCE against the reward of the model's optimistic accuracy (an
upper confidence bound: GP-UCB, arXiv:0912.3995) with the exact cost of each network, which needs no learning. Its
samples, refined by mutation, are the candidates of the next batch, which is chosen greedily: each choice is taken as
known for the next (GP-BUCB, arXiv:1206.6402).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from controller.base import Controller, Outcome, Problem, Signals
from controller.proposals import repeats, select
from controller.surrogate import Surrogate
from search_space.decision import Tokens, mutate_tokens, neighbours
from search_space.errors import check_fields
from search_space.seeding import derive_seed

if TYPE_CHECKING:
    from controller.policy import Policy, Scored

_GROWTH = 1.25  # settings of the model and policy are fitted again when there are so many times the outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedConfig:
    """Settings of model-guided REINFORCE."""

    hidden: int = 32
    """LSTM units."""
    init_range: float = 0.1
    """Weights start uniform in +- this."""
    learning_rate: float = 0.1
    """Adam's step of the policy."""
    entropy_weight: float = 0.03
    """Weight of the policy's entropy against standardised advantages."""
    policy_steps: int = 12
    """REINFORCE steps that a policy is trained against the model."""
    policy_batch: int = 32
    """Samples of each of these steps."""
    optimism: float = 2.5
    """How many standard deviations above the model's mean an accuracy is hoped to be; the mean over a batch."""
    patience: int = 20
    """Trials without a better network after which optimism has doubled; it goes on growing until there is one."""
    candidates: int = 64
    """Samples of the policy among which a batch is chosen."""
    refinements: int = 5
    """Rounds in which the best candidates are mutated."""
    parents: int = 20
    """How many of them, each four times."""
    local: int = 4
    """A trial whose number divides by this changes one decision of the best network: no search stands still below."""
    memory: int = 1000
    """Observations that the model keeps: the best half and the latest half; its cost grows with their cube."""
    batch: int = 4
    """Proposals in a batch, unless the search says otherwise."""

    def __post_init__(self) -> None:
        least = {"hidden": 1, "policy_steps": 0, "policy_batch": 2, "patience": 1, "candidates": 1}
        least |= {"refinements": 0, "local": 1, "memory": 2, "batch": 1, "entropy_weight": 0, "optimism": 0}
        rules = [(getattr(self, k) >= v, k, getattr(self, k), f"at least {v}") for k, v in least.items()]
        rules += [(getattr(self, k) > 0, k, getattr(self, k), "above 0") for k in ("init_range", "learning_rate")]
        check_fields(*rules)


class Guided(Controller[GuidedConfig]):
    """The LSTM policy, trained by REINFORCE on a model of accuracy times the exact cost."""

    Config = GuidedConfig
    presets: ClassVar = {"default": GuidedConfig()}

    def __init__(self, problem: Problem, config: GuidedConfig, seed: int) -> None:
        super().__init__(problem, config, seed)
        self.surrogate = Surrogate(
            problem.decisions, problem.features, problem.guesses, np.random.default_rng(derive_seed(seed, "features"))
        )
        self.policy = self._new_policy()
        self._outcomes: list[Outcome] = []
        self._incumbent = -np.inf
        self._told: set[str] = set()
        self._since_improvement = 0
        # How many outcomes: the settings and the policy are to be fitted to, are fitted to, the model knows.
        self._checkpoint = 0
        self._fitted_to = 0
        self._conditioned_on = 0
        self._beliefs: Signals = {}

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """See `Controller.ask`."""
        self._learn()
        seed = derive_seed(self.seed, "ask", batch)
        generator = np.random.default_rng(seed)
        near, pool = self._pool(seed, generator)
        mean, covariance = self.surrogate.predict_jointly(pool) if pool else (np.zeros(0), np.zeros((0, 0)))
        order = self._diverse(pool, near, mean, covariance, self._optimism(generator, count))
        ranked = iter([[pool[i] for i in order]])
        return select(self.problem, count, lambda _: next(ranked, ()), generator, self._told, self._incumbent)

    def _pool(self, seed: int, generator: np.random.Generator) -> tuple[int, list[Tokens]]:
        """Distinct, new, admissible candidates: neighbours of the best network, and how many these are; samples of the
        policy; mutants of the most promising."""
        import torch

        pool: dict[str, Tokens] = {}
        for outcome in self._elite()[:1]:
            self._admit(pool, neighbours(self.problem.decisions, outcome.tokens))
        near = len(pool)
        self._admit(pool, self.policy.draw(self.config.candidates, torch.Generator().manual_seed(seed)))
        elite = [outcome.tokens for outcome in self._elite()]
        for _ in range(self.config.refinements):
            tokens = list(pool.values()) + elite
            if not tokens:
                break
            value = self._optimistic(tokens)
            parents = [tokens[i] for i in np.argsort(-value)[: self.config.parents]]
            can_mutate = any(len(decision.choices) > 1 for decision in self.problem.decisions)
            mutants = [mutate_tokens(self.problem.decisions, p, generator) for p in parents * 4 if can_mutate]
            self._admit(pool, mutants)
        return near, list(pool.values())

    def _elite(self) -> list[Outcome]:
        """The best outcomes, best first."""
        return sorted(self._outcomes, key=lambda outcome: -outcome.reward)[:8]

    def _admit(self, pool: dict[str, Tokens], candidates: Sequence[Tokens]) -> None:
        incumbent = self._incumbent
        for tokens in candidates:
            key = self.problem.network(tokens)
            if key in pool or key in self._told or not self.problem.admissible(tokens):
                continue
            if self.problem.can_beat(tokens, incumbent):
                pool[key] = tokens

    def _optimistic(self, tokens: Sequence[Tokens]) -> NDArray[np.float64]:
        """(M,) rewards at the upper confidence bound of accuracy."""
        mean, variance = self.surrogate.predict(tokens)
        return self._rewards(tokens, mean, variance, self.config.optimism)

    def _optimism(self, generator: np.random.Generator, count: int) -> NDArray[np.float64]:
        """How optimistic to be for each member of a batch: exponential, and more so while nothing better is found.

        Some members exploit and some explore (Hutter et al. 2012, parallel algorithm configuration, section 3), so a
        model that is too sure of itself is found out.
        """
        return generator.exponential(self.config.optimism * (1 + self._since_improvement / self.config.patience), count)

    def _rewards(
        self,
        tokens: Sequence[Tokens],
        mean: NDArray[np.float64],
        variance: NDArray[np.float64],
        optimism: float,
    ) -> NDArray[np.float64]:
        accuracy = np.clip(mean + optimism * np.sqrt(np.maximum(variance, 0)), 0, 1)
        return np.array([self.problem.reward(t, float(a)) for t, a in zip(tokens, accuracy, strict=True)])

    def _diverse(
        self,
        pool: Sequence[Tokens],
        near: int,
        mean: NDArray[np.float64],
        covariance: NDArray[np.float64],
        optimism: NDArray[np.float64],
    ) -> list[int]:
        """Indices of a batch: the highest bound, then the highest once the first is as good as known, and so on.

        Every `local`th trial is chosen among the first `near` of the pool, as long as these last.
        """
        order: list[int] = []
        covariance = covariance.copy()
        for trial, hope in enumerate(optimism[: len(pool)], len(self._outcomes)):
            value = self._rewards(pool, mean, np.diag(covariance), float(hope))
            value[order] = -np.inf
            if trial % self.config.local == 0 and value[:near].max(initial=-np.inf) > -np.inf:
                value[near:] = -np.inf
            chosen = int(np.argmax(value))
            order.append(chosen)
            column = covariance[:, chosen]
            covariance -= np.outer(column, column) / (column[chosen] + 1e-12)
        return order

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """See `Controller.tell`."""
        keys = [self.problem.network(outcome.tokens) for outcome in outcomes]
        share = repeats(self._told, keys)
        self._told.update(keys)
        best = max(outcome.reward for outcome in outcomes)
        self._since_improvement = 0 if best > self._incumbent else self._since_improvement + len(outcomes)
        self._incumbent = max(self._incumbent, best)
        self._outcomes.extend(outcomes)
        if len(self._outcomes) >= _GROWTH * self._checkpoint:
            self._checkpoint = len(self._outcomes)
        return {"repeats": share, "trials_since_improvement": self._since_improvement}

    def beliefs(self) -> Signals:
        """See `Controller.beliefs`."""
        self._learn()
        return self._beliefs

    def _learn(self) -> None:
        """Let the model know all that was told.

        Its settings and the policy are fitted afresh, from nothing but the outcomes, when these have grown by a
        quarter; so a resumed search has the same without going through all that were before.
        """
        if self._fitted_to != self._checkpoint:
            self._fitted_to = self._checkpoint
            kernel = self.surrogate.fit(*self._known(self._checkpoint))
            self._conditioned_on = self._checkpoint
            self._beliefs = {"kernel": kernel, **self._train_policy()}
        if self._conditioned_on != len(self._outcomes):
            self._conditioned_on = len(self._outcomes)
            self.surrogate.condition(*self._known(self._conditioned_on))

    def _known(self, told: int) -> tuple[list[Tokens], list[float]]:
        """What the model learns from the first outcomes; a failed trial counts as the lowest accuracy seen."""
        known = self._remembered(self._outcomes[:told])
        worst = min((o.accuracy for o in known if o.accuracy is not None), default=0.0)
        return [o.tokens for o in known], [worst if o.accuracy is None else o.accuracy for o in known]

    def _new_policy(self) -> Policy:
        from controller.policy import Policy  # loads torch

        seed = derive_seed(self.seed, "policy")
        return Policy(self.problem.decisions, self.config.hidden, self.config.init_range, seed)

    def _remembered(self, outcomes: list[Outcome]) -> list[Outcome]:
        limit = self.config.memory
        if len(outcomes) <= limit:
            return outcomes
        latest, older = outcomes[-(limit // 2) :], outcomes[: -(limit // 2)]
        return sorted(older, key=lambda o: -o.reward)[: limit - len(latest)] + latest

    def _train_policy(self) -> Signals:
        """REINFORCE against the model; each sample's baseline is the mean of the batch."""
        import torch

        from controller.reinforce import reinforce_loss, step

        self.policy = self._new_policy()
        optimizer = torch.optim.Adam(self.policy.parameters(), lr=self.config.learning_rate)
        sampler = torch.Generator().manual_seed(derive_seed(self.seed, "model", self._fitted_to))
        signals: Signals = {}
        for _ in range(self.config.policy_steps):
            scored: Scored = self.policy(count=self.config.policy_batch, generator=sampler)
            sequences = scored.sequences()
            value = self._optimistic(sequences)
            value[[not self.problem.admissible(t) for t in sequences]] = value.min()
            advantage = torch.from_numpy((value - value.mean()) / (value.std() + 1e-9))
            loss = reinforce_loss(scored.log_probs, scored.entropy, advantage, self.config.entropy_weight)
            norm = step(optimizer, loss)
            signals = {
                "entropy": round(scored.entropy.mean().item(), 6),
                "model_reward": round(float(value.mean()), 6),
                "loss": round(loss.item(), 6),
                "gradient_norm": round(norm, 6),
                "probabilities": scored.marginals(self.problem.decisions),
            }
        return signals
