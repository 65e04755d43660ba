from __future__ import annotations

import dataclasses
import math

import pytest

from controller.base import Problem
from evaluator.objective import Objective
from nas.problem import make_problem
from search_space.architecture import Architecture
from search_space.space import SearchSpace

OBJECTIVE = Objective(target_macs=400_000_000)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("accel-nasbench")


def test_the_band_confines_what_may_be_proposed(space: SearchSpace) -> None:
    b0 = space.encode(Architecture.load("efficientnet-b0"))
    problem: Problem = make_problem(space, OBJECTIVE, (0.9, 1.1))
    assert problem.admissible(b0)
    assert not make_problem(space, OBJECTIVE, (1.0, 1.1)).admissible(b0)
    assert make_problem(space, OBJECTIVE, None).admissible(b0)
    assert problem.network(b0) == Architecture.load("efficientnet-b0").key
    assert problem.reward(b0, 0.5) == pytest.approx(0.5 * (385_814_752 / 400_000_000) ** -0.07)


def test_full_accuracy_bounds_the_reward_unless_a_low_latency_adds_to_it(space: SearchSpace) -> None:
    b0 = space.encode(Architecture.load("efficientnet-b0"))
    assert not make_problem(space, OBJECTIVE, None).can_beat(b0, 1.01)
    timed = dataclasses.replace(OBJECTIVE, target_latency_ms=20.0)
    assert timed.reward(0.9, 385_814_752, 2.0) > 1.01
    assert make_problem(space, timed, None).can_beat(b0, 1.01)


def test_cost_is_known_before_training_and_guesses_at_accuracy(space: SearchSpace) -> None:
    problem = make_problem(space, OBJECTIVE, None)
    b0 = space.encode(Architecture.load("efficientnet-b0"))
    assert problem.features is not None
    assert problem.guesses is not None
    assert problem.features(b0) == (math.log(385_814_752), math.log(5_288_548))
    assert problem.guesses(b0) == (math.log(5_288_548),)


def test_how_far_a_network_is_from_the_band(space: SearchSpace) -> None:
    b0 = space.encode(Architecture.load("efficientnet-b0"))
    ratio = 385_814_752 / 400_000_000

    def distance(low: float, high: float) -> float:
        measure = make_problem(space, OBJECTIVE, (low, high)).distance
        assert measure is not None
        return measure(b0)

    assert distance(0.9, 1.1) == distance(ratio, 1) == 0
    assert distance(1.2, 1.5) == pytest.approx(math.log(1.2 / ratio))
    assert distance(0.0, 0.5) == pytest.approx(math.log(ratio / 0.5))
    assert make_problem(space, OBJECTIVE, None).distance is None


def test_a_guess_comes_first(space: SearchSpace) -> None:
    b0 = Architecture.load("efficientnet-b0")
    problem = make_problem(space, OBJECTIVE, None, lambda network: 1.5 if network.key == b0.key else 0.0)
    assert problem.guesses is not None
    assert problem.guesses(space.encode(b0)) == (-1.5, math.log(5_288_548))
