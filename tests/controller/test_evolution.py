from __future__ import annotations

import dataclasses

import pytest

from controller.base import Outcome, Problem
from controller.evolution import Evolution, EvolutionConfig
from search_space.decision import Decision, Tokens
from search_space.errors import InputError

DECISIONS = tuple(Decision(name=f"d{i}", choices=tuple("abcd")) for i in range(6))
PROBLEM = Problem(decisions=DECISIONS, reward=lambda t, a: a, network=str, admissible=lambda t: True)


def told(tokens: Tokens, reward: float) -> Outcome:
    return Outcome(tokens=tokens, reward=reward, accuracy=reward)


def distance(a: Tokens, b: Tokens) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_children_differ_from_the_best_of_the_sample_in_one_decision() -> None:
    controller = Evolution(PROBLEM, EvolutionConfig(population=4, sample=4), 0)
    best: Tokens = (0, 1, 2, 3, 0, 1)
    controller.tell([told((i,) * 6, 0.1) for i in range(3)] + [told(best, 0.9)])
    assert all(distance(child, best) == 1 for child in controller.ask(1, 5))


def test_the_oldest_dies_however_good_it_was() -> None:
    controller = Evolution(PROBLEM, EvolutionConfig(population=2, sample=2), 0)
    controller.tell([told((0,) * 6, 0.9), told((1,) * 6, 0.2), told((2,) * 6, 0.3)])
    assert all(distance(child, (2,) * 6) == 1 for child in controller.ask(1, 4))


def test_before_the_population_is_full_proposals_are_uniform() -> None:
    controller = Evolution(PROBLEM, EvolutionConfig(population=50, sample=5), 0)
    controller.tell([told((0,) * 6, 0.9)])
    assert max(distance(child, (0,) * 6) for child in controller.ask(1, 8)) > 2


def test_sizes_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match=r"sample must be from 1 to population \(5\), got 6"):
        EvolutionConfig(population=5, sample=6)
    with pytest.raises(InputError, match="batch must be at least 1, got 0"):
        EvolutionConfig(batch=0)


def test_the_paper_preset_is_the_papers() -> None:
    paper = Evolution.presets["paper"]
    assert (paper.population, paper.sample) == (100, 25)


def test_only_the_paper_proposes_what_was_tried() -> None:
    small = dataclasses.replace(PROBLEM, decisions=DECISIONS[:1])
    everything = [told((i,), 0.1 * i) for i in range(3)]
    for seed in range(5):
        for settings, expected in ((EvolutionConfig(population=3, sample=3), 1), (PAPER, 3)):
            controller = Evolution(small, settings, seed)
            controller.tell(everything)
            asked = [controller.ask(batch, 1)[0] for batch in range(40)]
            assert len(set(asked)) == expected
            assert (3,) in asked


PAPER = EvolutionConfig(population=3, sample=3, avoid_told=False)
