"""PPO on the LSTM policy (arXiv:1707.06347, equation 7), as NASNet and MnasNet train theirs (arXiv:1707.07012, A.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from controller.base import Signals
from controller.policy import Scored
from controller.reinforce import Reinforce, ReinforceConfig, step
from search_space.errors import check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig(ReinforceConfig):
    """Settings of PPO; the paper's are the preset ``paper``. Those that REINFORCE has too mean the same."""

    learning_rate: float = 3e-3
    """Adam's step; the paper's is 3.5e-4, made for 8,000 and more trials."""
    clip: float = 0.2
    """How far a ratio of probabilities may leave 1 before it stops counting; PPO's own value, the papers give none."""
    epochs: int = 4
    """Gradient steps a batch; the papers give none."""

    def __post_init__(self) -> None:
        # By name: with slots a dataclass is another class than the one that super() means.
        ReinforceConfig.__post_init__(self)
        check_fields(
            (0 < self.clip < 1, "clip", self.clip, "above 0 and below 1"),
            (self.epochs >= 1, "epochs", self.epochs, "at least 1"),
        )


class PPO(Reinforce):
    """The LSTM policy, a few clipped policy-gradient steps a batch."""

    config: PPOConfig
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

    def _update(self, tokens: Tensor, advantage: Tensor) -> tuple[Scored, Signals]:
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
        return old, signals


def clipped_surrogate(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's objective for each sequence (B,), to be maximised.

    Args:
        log_ratio: (B,) log-probability now minus that when the sequences were sampled.
        advantage: (B,) reward minus baseline, no gradient.
        clip: How far the ratio may leave 1 before it stops counting.
    """
    ratio = log_ratio.exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
