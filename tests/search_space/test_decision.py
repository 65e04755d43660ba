import numpy as np
import pytest

from search_space.decision import Decision, canonical, mutate_tokens, neighbours, sample_tokens

DECISIONS = (
    Decision(name="op", choices=("a", "b", "c")),
    Decision(name="one", choices=("only",)),
    Decision(name="size", choices=("1", "2", "3"), requires=((0, frozenset({1, 2})),)),
)


def test_tokens_that_do_not_apply_are_zero() -> None:
    assert canonical(DECISIONS, [0, 0, 2]) == (0, 0, 0)
    assert canonical(DECISIONS, np.array([1, 0, 2])) == (1, 0, 2)
    assert all(type(token) is int for token in canonical(DECISIONS, np.array([1, 0, 2])))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([0, 0], "expected 3 tokens, got 2"),
        ([3, 0, 0], "op: token must be 0 to 2, got 3"),
        ([0, 0, -1], "size: token must be 0 to 2, got -1"),
    ],
)
def test_bad_tokens(tokens: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical(DECISIONS, tokens)


def test_samples_reach_every_proposal_and_repeat_with_the_seed() -> None:
    drawn = [sample_tokens(DECISIONS, np.random.default_rng(seed)) for seed in range(200)]
    assert set(drawn) == {(0, 0, 0)} | {(op, 0, size) for op in (1, 2) for size in range(3)}
    assert drawn == [sample_tokens(DECISIONS, np.random.default_rng(seed)) for seed in range(200)]


def test_a_mutation_changes_one_decision_that_applies() -> None:
    generator = np.random.default_rng(0)
    seen = {mutate_tokens(DECISIONS, (1, 0, 2), generator) for _ in range(200)}
    assert seen == {(0, 0, 0), (2, 0, 2), (1, 0, 0), (1, 0, 1)}
    assert {mutate_tokens(DECISIONS, (0, 0, 0), generator) for _ in range(100)} == {(1, 0, 0), (2, 0, 0)}


def test_neighbours_are_all_that_a_mutation_can_make() -> None:
    assert neighbours(DECISIONS, (1, 0, 2)) == [(0, 0, 0), (2, 0, 2), (1, 0, 0), (1, 0, 1)]
    assert neighbours(DECISIONS, (0, 0, 0)) == [(1, 0, 0), (2, 0, 0)]
