from __future__ import annotations

import itertools
import math

import pytest
import torch

from controller.policy import Policy, Scored
from search_space.decision import Decision

DECISIONS = (
    Decision(name="a", choices=("0", "1", "2")),
    Decision(name="b", choices=("0", "1")),
    Decision(name="c", choices=("0", "1", "2"), requires=((0, frozenset({2})), (1, frozenset({1})))),
)


@pytest.fixture
def policy() -> Policy:
    # Far from uniform, so that a mistake shows.
    return Policy(DECISIONS, 6, 1.5, 0)


def every_sequence() -> torch.Tensor:
    rows = {(a, b, c if (a, b) == (2, 1) else 0) for a, b, c in itertools.product(range(3), range(2), range(3))}
    return torch.tensor(sorted(rows))


def test_probabilities_of_all_sequences_sum_to_one(policy: Policy) -> None:
    scored: Scored = policy(every_sequence())
    assert scored.log_probs.detach().exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_entropy_is_that_of_the_whole_distribution(policy: Policy) -> None:
    """The mean over sequences of the softmaxes' entropies is the entropy of the sequence: -sum p log p."""
    scored: Scored = policy(every_sequence())
    p = scored.log_probs.detach().exp()
    assert float((p * scored.entropy.detach()).sum()) == pytest.approx(
        float(-(p * scored.log_probs.detach()).sum()), abs=1e-12
    )


def test_sampling_and_scoring_are_one(policy: Policy) -> None:
    sampled: Scored = policy(count=50, generator=torch.Generator().manual_seed(1))
    scored: Scored = policy(sampled.tokens)
    assert torch.equal(sampled.log_probs, scored.log_probs)
    assert torch.equal(sampled.entropy, scored.entropy)


def test_samples_follow_the_probabilities(policy: Policy) -> None:
    sequences = every_sequence()
    expected = dict(zip(map(tuple, sequences.tolist()), policy(sequences).log_probs.exp().tolist(), strict=True))
    count = 20_000
    drawn: Scored = policy(count=count, generator=torch.Generator().manual_seed(2))
    for sequence, p in expected.items():
        seen = sum(row == sequence for row in drawn.sequences()) / count
        assert abs(seen - p) < 5 * math.sqrt(p * (1 - p) / count) + 1e-9


def test_one_decision_by_hand() -> None:
    policy = Policy(DECISIONS[:1], 2, 1.0, 0)
    with torch.no_grad():
        hidden, _ = policy.cell(policy.embedding(torch.zeros(1, dtype=torch.long)))
        logits = hidden @ policy.head[0] + policy.head_bias[0]
    z = sum(math.exp(x) for x in logits[0].tolist())
    scored: Scored = policy(torch.tensor([[1]]))
    assert scored.log_probs[0].item() == pytest.approx(float(logits[0, 1]) - math.log(z), abs=1e-12)


def test_a_batch_is_scored_as_its_members_are(policy: Policy) -> None:
    sequences = every_sequence()
    alone = [policy(row.unsqueeze(0)).log_probs[0].item() for row in sequences]
    assert policy(sequences).log_probs.tolist() == pytest.approx(alone, abs=1e-12)


def test_marginals_are_averaged_over_the_sequences_that_are_asked(policy: Policy) -> None:
    tokens = torch.tensor([[2, 1, 0], [0, 0, 0], [2, 1, 2]])
    rows = policy(tokens).marginals(DECISIONS)
    assert [len(row) for row in rows] == [3, 2, 3]
    assert [sum(row) for row in rows] == pytest.approx([1, 1, 1], abs=1e-3)
    assert policy(torch.tensor([[0, 0, 0]])).marginals(DECISIONS)[2] == [0, 0, 0]


def test_the_weights_come_from_the_generator_alone() -> None:
    first, second = (Policy(DECISIONS, 4, 0.1, 7) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.detach().abs().max().item() <= 0.1
    first(count=3, generator=torch.Generator().manual_seed(0))
