"""REINFORCE on the LSTM policy (Williams 1992; neural architecture search, arXiv:1611.01578, section 3.2).

The gradient of the expected reward is estimated by mean((R - b) * grad log pi(a)), with the baseline b an exponential
moving average of earlier rewards. Proposals are kept distinct and admissible by rejection, and the estimate treats them
as plain samples of the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from controller.base import Controller, Outcome, Problem, Signals
from controller.policy import Policy, Scored
from controller.proposals import repeats, select
from search_space.decision import Tokens
from search_space.errors import check_fields
from search_space.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforceConfig:
    """Settings of REINFORCE; the paper's are the preset ``paper``."""

    hidden: int = 100
    """LSTM units; the paper's value."""
    init_range: float = 0.1
    """Weights start uniform in +- this; the paper's value."""
    learning_rate: float = 5e-3
    """Adam's step; the paper's is 3.5e-4, made for 8,000 and more trials."""
    entropy_weight: float = 0.02
    """Weight of the entropy bonus in the loss; the paper's is 1e-5."""
    baseline_decay: float = 0.9
    """Decay of the moving average of the mean rewards of the batches; the paper's is 0.95."""
    standardize: bool = True
    """Whether advantages are divided by a moving estimate of their spread, so that the other settings hold for any
    scale of rewards; the paper does not."""
    avoid_told: bool = True
    """Whether a network that was tried before is never proposed again; the paper does not look."""
    batch: int = 8
    """Proposals in a batch, unless the search says otherwise; one update a batch. The paper's is 20."""

    def __post_init__(self) -> None:
        check_fields(
            (self.hidden >= 1, "hidden", self.hidden, "at least 1"),
            (self.init_range > 0, "init_range", self.init_range, "above 0"),
            (self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0"),
            (self.entropy_weight >= 0, "entropy_weight", self.entropy_weight, "0 or more"),
            (0 <= self.baseline_decay < 1, "baseline_decay", self.baseline_decay, "from 0 to below 1"),
            (self.batch >= 1, "batch", self.batch, "at least 1"),
        )


class Reinforce(Controller[ReinforceConfig]):
    """The LSTM policy, one policy-gradient step a batch."""

    Config = ReinforceConfig
    presets: ClassVar = {
        "default": ReinforceConfig(),
        "paper": ReinforceConfig(
            learning_rate=3.5e-4,
            entropy_weight=1e-5,
            baseline_decay=0.95,
            standardize=False,
            avoid_told=False,
            batch=20,
        ),
    }

    def __init__(self, problem: Problem, config: ReinforceConfig, seed: int) -> None:
        super().__init__(problem, config, seed)
        self.policy = Policy(problem.decisions, config.hidden, config.init_range, derive_seed(seed, "policy"))
        self.baseline = Baseline(config.baseline_decay)
        self._optimizer = torch.optim.Adam(self.policy.parameters(), lr=config.learning_rate)
        self._told: set[str] = set()
        self._incumbent = -float("inf")

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """See `Controller.ask`."""
        avoid = self._told if self.config.avoid_told else set()
        return propose(self.problem, self.policy, count, derive_seed(self.seed, "ask", batch), avoid, self._incumbent)

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """See `Controller.tell`; a failed trial counts with its low reward."""
        keys = [self.problem.network(outcome.tokens) for outcome in outcomes]
        share = repeats(self._told, keys)
        self._told.update(keys)
        self._incumbent = max(self._incumbent, *(outcome.reward for outcome in outcomes))
        tokens = torch.tensor([outcome.tokens for outcome in outcomes])
        baseline, advantage = self.baseline.advantage([outcome.reward for outcome in outcomes], self.config.standardize)
        scored, signals = self._update(tokens, advantage)
        return {
            "repeats": share,
            "entropy": round(scored.entropy.mean().item(), 6),
            "baseline": baseline,
            "advantage_mean": round(advantage.mean().item(), 6),
            "advantage_std": round(advantage.std(correction=0).item(), 6),
            **signals,
            "probabilities": scored.marginals(self.problem.decisions),
        }

    def _update(self, tokens: Tensor, advantage: Tensor) -> tuple[Scored, Signals]:
        """Learn from a batch (B, D) and its advantages (B,); what the policy said of it before, and what changed."""
        scored: Scored = self.policy(tokens)
        loss = reinforce_loss(scored.log_probs, scored.entropy, advantage, self.config.entropy_weight)
        norm = step(self._optimizer, loss)
        return scored, {"loss": round(loss.item(), 6), "gradient_norm": round(norm, 6)}


def reinforce_loss(log_probs: Tensor, entropy: Tensor, advantage: Tensor, entropy_weight: float) -> Tensor:
    """REINFORCE's loss, a scalar: its gradient is minus the policy gradient.

    Args:
        log_probs: (B,) log-probability of each sequence.
        entropy: (B,) entropy of the policy along each sequence.
        advantage: (B,) reward minus baseline, no gradient.
        entropy_weight: Weight of the entropy bonus.
    """
    return -(advantage * log_probs).mean() - entropy_weight * entropy.mean()


class Baseline:
    """Moving averages of the reward's mean and spread over batches."""

    def __init__(self, decay: float) -> None:
        """Start without a baseline.

        Args:
            decay: Weight of the past in each average.
        """
        self.decay = decay
        self.mean: float | None = None
        self.variance = 0.0

    def advantage(self, rewards: Sequence[float], standardize: bool) -> tuple[float, Tensor]:
        """The baseline and the advantages (B,) of a batch; only then does the batch enter the averages.

        A baseline that holds the batch's own rewards would bias the gradient. The first batch has no earlier
        rewards: each of its members is compared with the mean of the others.
        """
        reward = np.asarray(rewards, dtype=np.float64)
        count = len(reward)
        if self.mean is None:
            mean = float(reward.mean())
            advantage = (reward - mean) * (count / max(1, count - 1))
            baseline, self.mean, self.variance = mean, mean, float(np.square(advantage).mean())
        else:
            baseline = self.mean
            advantage = reward - baseline
            self.variance += (1 - self.decay) * (float(np.square(advantage).mean()) - self.variance)
            self.mean += (1 - self.decay) * (float(reward.mean()) - self.mean)
        if standardize:
            advantage = advantage / (self.variance**0.5 + 1e-8)
        return baseline, torch.from_numpy(advantage)


def propose(problem: Problem, policy: Policy, count: int, seed: int, avoid: set[str], incumbent: float) -> list[Tokens]:
    """`count` proposals sampled from the policy; see `proposals.select`."""
    sampler = torch.Generator().manual_seed(seed)
    generator = np.random.default_rng(seed)
    return select(problem, count, lambda missing: policy.draw(missing, sampler), generator, avoid, incumbent)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """One optimizer step on `loss`; the norm of its gradient."""
    optimizer.zero_grad()
    loss.backward()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
    optimizer.step()
    return norm
