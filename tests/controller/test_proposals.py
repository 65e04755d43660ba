from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from controller.base import Problem
from controller.proposals import frequencies, repeats, select
from search_space.decision import Decision
from search_space.errors import NasError

DECISIONS = (Decision(name="a", choices=("0", "1", "2")), Decision(name="b", choices=("0", "1")))


def make(admissible: object = None) -> Problem:
    return Problem(
        decisions=DECISIONS,
        reward=lambda tokens, accuracy: accuracy,
        network=str,
        admissible=admissible or (lambda tokens: True),  # type: ignore[arg-type]
    )


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_strategys_proposals_come_first_and_in_order() -> None:
    drawn = [(2, 1), (2, 1), (0, 0), (1, 1)]
    chosen = select(make(lambda t: t != (0, 0)), 2, lambda missing: drawn, generator(), set())
    assert chosen == [(2, 1), (1, 1)]


def test_what_is_missing_is_filled_up_uniformly_with_new_networks() -> None:
    avoid = {str((a, b)) for a in range(3) for b in range(2)} - {"(0, 0)", "(1, 1)"}
    assert sorted(select(make(), 2, lambda missing: [], generator(), avoid)) == [(0, 0), (1, 1)]


def test_known_networks_are_repeated_only_when_nothing_new_is_left() -> None:
    everything = {str((a, b)) for a in range(3) for b in range(2)}
    chosen = select(make(), 3, lambda missing: [(0, 1)], generator(), everything)
    assert len(set(chosen)) == 3
    assert (0, 1) in chosen


def test_a_batch_larger_than_the_space_repeats_within_itself() -> None:
    chosen = select(make(lambda t: t[0] == 0), 5, lambda missing: [], generator(), set())
    assert len(chosen) == 5
    assert set(chosen) == {(0, 0), (0, 1)}


def test_nothing_admissible_is_an_error() -> None:
    with pytest.raises(NasError, match="none of 20,000 uniform samples is admissible"):
        select(make(lambda t: False), 1, lambda missing: [], generator(), set())


def test_what_cannot_beat_the_incumbent_is_not_proposed() -> None:
    problem = Problem(
        decisions=DECISIONS,
        reward=lambda tokens, accuracy: accuracy * tokens[0] / 2,
        network=str,
        admissible=lambda tokens: True,
    )
    assert {t[0] for t in select(problem, 2, lambda missing: [(1, 0), (2, 0)], generator(), set(), 0.6)} == {2}
    assert select(problem, 2, lambda missing: [(1, 0)], generator(), set(), 1.0) == []


def test_nothing_is_ruled_out_where_rewards_have_no_upper_bound() -> None:
    problem = dataclasses.replace(make(), open_ended=True)
    assert select(problem, 2, lambda missing: [(1, 0), (2, 0)], generator(), set(), 1.5) == [(1, 0), (2, 0)]


def test_repeats_count_told_networks_and_doubles() -> None:
    assert repeats({"a"}, ["a", "b", "b", "c"]) == 0.5
    assert repeats(set(), []) == 0


def test_frequencies_leave_out_decisions_that_do_not_apply() -> None:
    decisions = (*DECISIONS[:1], Decision(name="b", choices=("0", "1"), requires=((0, frozenset({1})),)))
    assert frequencies(decisions, [(1, 1), (1, 0), (0, 0), (2, 0)]) == [[0.25, 0.5, 0.25], [0.5, 0.5]]
    assert frequencies(decisions, [(0, 0)]) == [[1, 0, 0], [0, 0]]


def test_a_band_that_uniform_samples_hardly_ever_hit_is_walked_into() -> None:
    """Of 10^12 proposals those with a sum of 5 or less are a few thousand."""
    decisions = tuple(Decision(name=str(i), choices=tuple("0123456789")) for i in range(12))
    decisions += (Decision(name="fixed", choices=("0",)),)
    problem = Problem(
        decisions=decisions,
        reward=lambda tokens, accuracy: accuracy,
        network=str,
        admissible=lambda tokens: sum(tokens) <= 5,
        distance=lambda tokens: max(0.0, sum(tokens) - 5),
    )
    first = select(problem, 20, lambda missing: [], generator(), set())
    assert len(set(first)) == 20
    assert all(sum(tokens) <= 5 for tokens in first)
    assert select(problem, 20, lambda missing: [], generator(), set()) == first
    second = select(problem, 20, lambda missing: [], generator(), set(map(str, first)))
    assert not set(second) & set(first)
    with pytest.raises(NasError, match="none of 20,000"):
        select(dataclasses.replace(problem, distance=None), 20, lambda missing: [], generator(), set())


def test_there_is_no_way_where_nothing_can_change() -> None:
    problem = dataclasses.replace(
        make(lambda t: False), decisions=(Decision(name="a", choices=("0",)),), distance=lambda t: 1.0
    )
    with pytest.raises(NasError, match="none of 20,000"):
        select(problem, 1, lambda missing: [], generator(), set())
