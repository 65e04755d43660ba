import dataclasses
from typing import Any

import pytest

from controller.base import Controller, Outcome, Problem, Signals
from controller.promoting import Promoting, promising
from search_space.decision import Decision, Tokens

SMALL = ["epochs=1", "max_images=200", "width=0.25", "resolution=8", "device=cpu"]
FLAGS = ["--target-flops", "400M", "--controller", "random", "--batch", "4", "--promote", "2", "--quiet"]
FLAGS += [flag for setting in SMALL for flag in ("--set", f"evaluator.{setting}")]


class Inner(Controller[Any]):
    """Proposes numbers in turn and remembers what it is told."""

    Config = dict
    presets = {"default": {}}  # noqa: RUF012 - a toy

    def __init__(self) -> None:
        problem = Problem(decisions=(), reward=lambda t, a: a, network=str, admissible=lambda t: True)
        super().__init__(problem, None, 0)
        self.told: list[list[Outcome]] = []

    def ask(self, batch: int, count: int) -> list[Tokens]:
        return [(10 * batch + i,) for i in range(count)]

    def tell(self, outcomes: Any) -> Signals:
        self.told.append(list(outcomes))
        return {"inner": True}


def outcome(tokens: Tokens, reward: float | None) -> Outcome:
    return Outcome(tokens=tokens, reward=reward or 0.0, accuracy=reward)


def test_each_batch_is_followed_by_its_best_quarter_and_learned_on_one_scale() -> None:
    inner = Inner()
    promoting = Promoting(inner)
    assert promoting.ask(0, 5) == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]
    rewards = [0.1, 0.4, None, 0.3, 0.2]
    signals = promoting.tell([outcome((i, 0), reward) for i, reward in enumerate(rewards)])
    assert signals == {"promoted": 2}
    assert inner.told == []
    assert promoting.ask(1, 5) == promoting.ask(1, 5) == [(1, 1), (3, 1)]
    assert promoting.ask(1, 1) == [(1, 1)]
    signals = promoting.tell([outcome((1, 1), 0.5), outcome((3, 1), 0.6)])
    # Training on has gained 0.1 and 0.3: 0.2 on average for those that were not trained on; the failed one stays.
    assert signals == {"inner": True, "gain": pytest.approx(0.2)}
    assert [o.tokens for o in inner.told[0]] == [(0,), (1,), (2,), (3,), (4,)]
    assert [o.reward for o in inner.told[0]] == pytest.approx([0.3, 0.5, 0.0, 0.6, 0.4])
    assert [o.accuracy for o in inner.told[0]] == [pytest.approx(0.3), 0.5, None, 0.6, pytest.approx(0.4)]
    assert promoting.ask(2, 2) == [(20, 0), (21, 0)]


def test_a_batch_of_which_none_can_be_promoted_is_learned_at_once() -> None:
    inner = Inner()
    assert Promoting(inner).tell([outcome((0, 0), None)]) == {"inner": True, "gain": 0.0}
    assert inner.told == [[outcome((0,), None)]]


def test_a_promotion_that_failed_is_learned_as_failed_and_gains_nothing() -> None:
    inner = Inner()
    promoting = Promoting(inner)
    promoting.tell([outcome((0, 0), 0.5), outcome((1, 0), 0.4)])
    assert promoting.tell([outcome((0, 1), None)])["gain"] == 0
    assert [o.accuracy for o in inner.told[0]] == [None, 0.4]


def test_a_network_proposed_twice_is_promoted_once() -> None:
    assert promising([outcome((0, 0), 0.5)] * 4 + [outcome((1, 0), 0.4)] * 4) == [(0, 0), (1, 0)]


def test_what_earlier_searches_found_is_learned_as_it_is() -> None:
    inner = Inner()
    inner.problem = dataclasses.replace(inner.problem, decisions=(Decision(name="number", choices=("0",) * 100),))
    promoting = Promoting(inner)
    assert promoting.tell([outcome((7,), 0.5), outcome((8,), 0.4)]) == {"inner": True}
    assert inner.told == [[outcome((7,), 0.5), outcome((8,), 0.4)]]
    assert promoting.ask(0, 2) == [(0, 0), (1, 0)]


def test_no_estimate_is_above_the_best_that_was_measured() -> None:
    """Else it is one that no network may be able to beat, and the search ends for want of any that could."""
    inner = Inner()
    promoting = Promoting(inner)
    promoting.tell([outcome((0, 0), 0.8)])
    promoting.tell([outcome((0, 1), 0.95)])
    promoting.tell([outcome((i, 0), reward) for i, reward in enumerate([0.97, 0.96, 0.9, 0.5], 1)])
    promoting.tell([outcome((1, 1), 0.98)])  # training on has gained .15 and .01
    assert [o.reward for o in inner.told[1]] == pytest.approx([0.98, 0.98, 0.98, 0.58])
