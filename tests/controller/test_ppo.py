from __future__ import annotations

import math
import re

import pytest
import torch

from controller.base import Outcome, Problem
from controller.ppo import PPO, PPOConfig, clipped_surrogate
from search_space.decision import Decision
from search_space.errors import InputError

DECISIONS = tuple(Decision(name=f"d{i}", choices=("a", "b", "c")) for i in range(3))
PROBLEM = Problem(decisions=DECISIONS, reward=lambda t, a: a, network=str, admissible=lambda t: True)


def test_the_clipped_loss_by_hand() -> None:
    # Ratios 1.5 and 0.5 with clip 0.2: a gain is capped at 1.2, a loss is not; a fallen ratio with a negative
    # advantage is capped at 0.8.
    log_ratio = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    expected = [1.2 * 1, 1.5 * -1, 0.5 * 1, 0.8 * -1]
    assert clipped_surrogate(log_ratio, advantage, 0.2).tolist() == pytest.approx(expected)


def test_where_the_policy_has_not_moved_the_gradient_is_reinforces() -> None:
    controller = PPO(PROBLEM, PPOConfig(), 0)
    tokens, advantage = torch.tensor([[0, 1, 2], [2, 2, 0]]), torch.tensor([1.0, -0.5], dtype=torch.float64)
    gradients = []
    for clipped in (True, False):
        controller.policy.zero_grad()
        log_probs = controller.policy(tokens).log_probs
        surrogate = clipped_surrogate(log_probs - log_probs.detach(), advantage, 0.2)
        (surrogate if clipped else advantage * log_probs).mean().backward()
        gradients.append([p.grad.clone() for p in controller.policy.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_what_a_batch_may_change_is_reported() -> None:
    controller = PPO(PROBLEM, PPOConfig(learning_rate=0.1, epochs=10), 0)
    told = [Outcome(tokens=(i, i, i), reward=float(i), accuracy=0.5) for i in range(3)]
    signals = controller.tell(told)
    assert signals["kl"] > 0
    assert 0 < signals["clip_fraction"] <= 1
    assert signals["entropy"] == pytest.approx(3 * math.log(3), abs=0.01)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [("clip", 1.0, "above 0 and below 1"), ("epochs", 0, "at least 1"), ("hidden", 0, "at least 1")],
)
def test_settings_out_of_range_are_named(field: str, value: float, allowed: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{field} must be {allowed}, got {value}")):
        PPOConfig(**{field: value})  # type: ignore[arg-type]


def test_entropy_alone_makes_a_policy_undecided() -> None:
    """Without advantages nothing but the entropy's weight moves the policy."""
    entropies = []
    for weight in (0.0, 1.0):
        controller = PPO(PROBLEM, PPOConfig(entropy_weight=weight, learning_rate=0.02, init_range=1.0), 0)
        tokens, none = torch.tensor([[0, 1, 2], [2, 2, 0]]), torch.zeros(2, dtype=torch.float64)
        before = float(controller.policy(tokens).entropy.mean().detach())
        for _ in range(5):
            controller._update(tokens, none)
        entropies.append(float(controller.policy(tokens).entropy.mean().detach()) - before)
    assert entropies[0] == pytest.approx(0, abs=1e-9)
    assert entropies[1] > 0.01
