"""PPO on the LSTM policy (arXiv:1707.06347, equation 7), as NASNet and MnasNet train theirs (arXiv:1707.07012, A.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from controller.base import Controller, Outcome, Problem, Signals
from controller.policy import Policy, Scored
from controller.proposals import repeats
from controller.reinforce import Baseline, propose, step
from search_space.decision import Tokens
from search_space.errors import InputError
from search_space.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig:
    """Settings of PPO; the paper's are the preset ``paper``."""

    hidden: int = 100
    """LSTM units; the paper's value."""
    init_range: float = 0.1
    """Weights start uniform in +- this; the paper's value."""
    learning_rate: float = 3e-3
    """Adam's step; the paper's is 3.5e-4, made for 8,000 and more trials."""
    entropy_weight: float = 0.02
    """Weight of the entropy bonus in the loss; the paper's is 1e-5."""
    baseline_decay: float = 0.9
    """Decay of the moving average of the mean rewards of the batches; the paper's is 0.95."""
    clip: float = 0.2
    """How far a ratio of probabilities may leave 1 before it stops counting; PPO's own value, the papers give none."""
    epochs: int = 4
    """Gradient steps a batch; the papers give none."""
    standardize: bool = True
    """Whether advantages are divided by a moving estimate of their spread; the paper does not."""
    avoid_told: bool = True
    """Whether a network that was tried before is never proposed again; the paper does not look."""
    batch: int = 8
    """Proposals in a batch, unless the search says otherwise; the paper's is 20."""

    def __post_init__(self) -> None:
        rules = [
            (self.hidden >= 1, "hidden", self.hidden, "at least 1"),
            (self.init_range > 0, "init_range", self.init_range, "above 0"),
            (self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0"),
            (self.entropy_weight >= 0, "entropy_weight", self.entropy_weight, "0 or more"),
            (0 <= self.baseline_decay < 1, "baseline_decay", self.baseline_decay, "from 0 to below 1"),
            (0 < self.clip < 1, "clip", self.clip, "above 0 and below 1"),
            (self.epochs >= 1, "epochs", self.epochs, "at least 1"),
            (self.batch >= 1, "batch", self.batch, "at least 1"),
        ]
        broken = [f"{field} must be {allowed}, got {value}" for holds, field, value, allowed in rules if not holds]
        if broken:
            raise InputError("; ".join(broken))


class PPO(Controller[PPOConfig]):
    """The LSTM policy, a few clipped policy-gradient steps a batch."""

    Config = PPOConfig
    presets: ClassVar = {
        "default": PPOConfig(),
        "paper": PPOConfig(
            learning_rate=3.5e-4,
            entropy_weight=1e-5,
            baseline_decay=0.95,
            standardize=False,
            avoid_told=False,
            batch=20,
        ),
    }

    def __init__(self, problem: Problem, config: PPOConfig, seed: int) -> None:
        super().__init__(problem, config, seed)
        generator = torch.Generator().manual_seed(derive_seed(seed, "policy"))
        self.policy = Policy(problem.decisions, config.hidden, config.init_range, generator)
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
        with torch.no_grad():
            old: Scored = self.policy(tokens)
        signals: Signals = {}
        for _ in range(self.config.epochs):
            scored: Scored = self.policy(tokens)
            log_ratio = scored.log_probs - old.log_probs
            surrogate = clipped_surrogate(log_ratio, advantage, self.config.clip)
            loss = -surrogate.mean() - self.config.entropy_weight * scored.entropy.mean()
            norm = step(self._optimizer, loss)
            change = log_ratio.detach()
            signals = {
                "kl": round((change.exp() - 1 - change).mean().item(), 6),  # Schulman's low-variance estimate
                "clip_fraction": (change.exp().sub(1).abs() > self.config.clip).double().mean().item(),
                "loss": round(loss.item(), 6),
                "gradient_norm": round(norm, 6),
            }
        return {
            "repeats": share,
            "entropy": round(old.entropy.mean().item(), 6),
            "baseline": baseline,
            "advantage_mean": round(advantage.mean().item(), 6),
            "advantage_std": round(advantage.std(correction=0).item(), 6),
            **signals,
            "probabilities": old.marginals(self.problem.decisions),
        }


def clipped_surrogate(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's objective for each sequence (B,), to be maximised.

    Args:
        log_ratio: (B,) log-probability now minus that when the sequences were sampled.
        advantage: (B,) reward minus baseline, no gradient.
        clip: How far the ratio may leave 1 before it stops counting.
    """
    ratio = log_ratio.exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
