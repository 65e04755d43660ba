from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from controller.base import Outcome, Problem
from controller.policy import Policy
from controller.reinforce import Baseline, Reinforce, ReinforceConfig, reinforce_loss
from search_space.decision import Decision
from search_space.errors import InputError

DECISIONS = tuple(Decision(name=f"d{i}", choices=("a", "b", "c")) for i in range(3))
PROBLEM = Problem(decisions=DECISIONS, reward=lambda t, a: a, network=str, admissible=lambda t: True)


def test_the_loss_by_hand() -> None:
    log_probs, entropy = torch.tensor([-1.0, -2.0]), torch.tensor([0.5, 0.7])
    loss = reinforce_loss(log_probs, entropy, torch.tensor([3.0, -1.0]), 0.1)
    assert float(loss) == pytest.approx(-(3 * -1 + -1 * -2) / 2 - 0.1 * 0.6)


def test_the_gradient_is_the_policy_gradient() -> None:
    """Against an independent formula: d log softmax_k / d bias_j = [j = k] - p_j, for the first decision's bias."""
    policy = Policy(DECISIONS[:1], 4, 1.0, 0)
    tokens = torch.tensor([[0], [2], [2]])
    advantage = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    scored = policy(tokens)
    reinforce_loss(scored.log_probs, scored.entropy, advantage, 0.0).backward()
    p = scored.probabilities[0, 0]
    expected = -sum(a * (torch.eye(3)[t] - p) for a, (t,) in zip(advantage, tokens, strict=True)) / 3
    assert policy.head_bias.grad is not None
    assert torch.allclose(policy.head_bias.grad[0], expected, atol=1e-12)


def test_the_baseline_enters_after_the_advantage_is_taken() -> None:
    baseline = Baseline(0.9)
    first, advantage = baseline.advantage([1.0, 3.0], standardize=False)
    assert first == 2.0
    assert advantage.tolist() == [-2.0, 2.0]  # each against the mean of the others
    second, advantage = baseline.advantage([5.0, 5.0], standardize=False)
    assert second == 2.0, "the batch's own rewards must not be in its baseline"
    assert advantage.tolist() == [3.0, 3.0]
    assert baseline.mean == pytest.approx(0.9 * 2 + 0.1 * 5)
    # Squared advantages: 4 on average, then 9.
    assert baseline.variance == pytest.approx(0.9 * 4 + 0.1 * 9)


def test_standardised_advantages_do_not_depend_on_the_scale_of_rewards() -> None:
    small, large = Baseline(0.9), Baseline(0.9)
    for rewards in ([0.1, 0.3], [0.2, 0.5], [0.4, 0.1]):
        _, a = small.advantage(rewards, standardize=True)
        _, b = large.advantage([100 * r for r in rewards], standardize=True)
        assert np.allclose(a, b, atol=1e-4)


def test_rewarded_choices_become_likelier_and_punished_ones_rarer() -> None:
    controller = Reinforce(PROBLEM, ReinforceConfig(), 0)
    good, bad = (1, 1, 1), (2, 2, 2)

    def log_probs() -> list[float]:
        values: list[float] = controller.policy(torch.tensor([good, bad])).log_probs.tolist()
        return values

    before = log_probs()
    for _ in range(5):
        controller.tell([Outcome(tokens=good, reward=1, accuracy=1.0), Outcome(tokens=bad, reward=0, accuracy=0.0)])
    after = log_probs()
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_the_signals_are_what_they_say() -> None:
    controller = Reinforce(PROBLEM, ReinforceConfig(standardize=False), 0)
    signals = controller.tell(
        [Outcome(tokens=(0, 0, 0), reward=0.2, accuracy=0.2), Outcome(tokens=(0, 0, 1), reward=0.6, accuracy=0.6)]
    )
    assert signals["baseline"] == pytest.approx(0.4)
    assert signals["advantage_mean"] == pytest.approx(0)
    assert signals["advantage_std"] == pytest.approx(0.4)
    assert signals["entropy"] == pytest.approx(3 * math.log(3), abs=0.01)  # nearly uniform at the start
    assert signals["gradient_norm"] > 0


def test_the_paper_preset_is_the_papers() -> None:
    paper = Reinforce.presets["paper"]
    assert (paper.hidden, paper.init_range, paper.learning_rate) == (100, 0.1, 3.5e-4)
    assert (paper.entropy_weight, paper.baseline_decay, paper.batch) == (1e-5, 0.95, 20)
    assert not paper.standardize
    assert not paper.avoid_told


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("hidden", 0, "at least 1"),
        ("init_range", 0.0, "above 0"),
        ("learning_rate", -1.0, "above 0"),
        ("learning_rate", 0.0, "above 0"),
        ("entropy_weight", -1.0, "0 or more"),
        ("baseline_decay", 1.0, "from 0 to below 1"),
        ("batch", 0, "at least 1"),
    ],
)
def test_settings_out_of_range_are_named(field: str, value: float, allowed: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{field} must be {allowed}, got {value}")):
        ReinforceConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("avoid_told", "expected"), [(True, {(1, 1, 1)}), (False, {(0, 0, 0)})])
def test_what_was_tried_is_proposed_again_only_where_the_settings_say_so(
    avoid_told: bool, expected: set[tuple[int, ...]]
) -> None:
    """The policy would propose one of two networks nearly always."""
    problem = Problem(
        decisions=DECISIONS, reward=lambda t, a: a, network=str, admissible=lambda t: t in {(0, 0, 0), (1, 1, 1)}
    )
    controller = Reinforce(problem, ReinforceConfig(avoid_told=avoid_told, learning_rate=0.1), 0)
    for _ in range(60):
        controller.tell(
            [Outcome(tokens=(0, 0, 0), reward=0.9, accuracy=0.9)] * 2
            + [Outcome(tokens=(2, 2, 2), reward=0, accuracy=0.0)]
        )
    asked = {controller.ask(batch, 1)[0] for batch in range(5)}
    assert asked == expected
