from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from controller.base import Outcome, Problem
from controller.guided import Guided, GuidedConfig
from search_space.decision import Decision, Tokens
from search_space.errors import InputError

DECISIONS = tuple(Decision(name=f"d{i}", choices=("a", "b", "c")) for i in range(8))


def accuracy(tokens: Tokens) -> float:
    return 0.3 + 0.05 * sum(tokens) / 2 + (0.1 if tokens[2] == 1 and tokens[5] == 2 else 0)


def problem(**changes: Any) -> Problem:
    made = Problem(
        decisions=DECISIONS,
        reward=lambda tokens, accuracy: accuracy,
        network=str,
        admissible=lambda tokens: True,
        features=lambda tokens: (float(sum(tokens)),),
    )
    return dataclasses.replace(made, **changes)


def search(controller: Guided, batches: int, size: int = 4) -> list[Outcome]:
    told = []
    for batch in range(batches):
        asked = controller.ask(batch, size)
        outcomes = [
            Outcome(tokens=t, reward=controller.problem.reward(t, accuracy(t)), accuracy=accuracy(t)) for t in asked
        ]
        controller.tell(outcomes)
        told += outcomes
    return told


def test_it_finds_the_optimum_of_thousands_in_dozens_of_trials() -> None:
    told = search(Guided(problem(), GuidedConfig(), 0), 20)
    best = max(accuracy(tokens) for tokens in [(2, 2, 1, 2, 2, 2, 2, 2), (2,) * 8])
    assert max(outcome.reward for outcome in told) == pytest.approx(best)
    assert len({outcome.tokens for outcome in told}) == len(told)


def test_what_cannot_beat_the_incumbent_at_full_accuracy_is_not_proposed() -> None:
    # The second half of the choices costs so much that no accuracy makes up for it.
    dear = problem(reward=lambda tokens, accuracy: accuracy * (0.2 if sum(tokens) > 10 else 1.0))
    controller = Guided(dear, GuidedConfig(), 0)
    search(controller, 3)
    for batch in range(3, 8):
        assert all(sum(tokens) <= 10 for tokens in controller.ask(batch, 4))


def test_a_failed_trial_counts_as_the_lowest_accuracy_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Guided(problem(), GuidedConfig(policy_steps=0), 0)
    seen: list[list[float]] = []
    monkeypatch.setattr(controller.surrogate, "fit", lambda tokens, values: seen.append(list(values)) or {})
    a, b, c = (0,) * 8, (1,) * 8, (2,) * 8
    controller.tell(
        [
            Outcome(tokens=a, reward=0.4, accuracy=0.4),
            Outcome(tokens=b, reward=0.0, accuracy=None),
            Outcome(tokens=c, reward=0.6, accuracy=0.6),
        ]
    )
    controller.beliefs()
    assert seen == [[0.4, 0.4, 0.6]]


def test_the_model_remembers_the_best_and_the_latest() -> None:
    controller = Guided(problem(), GuidedConfig(memory=4), 0)
    tokens = [(i % 3, i // 3, *[0] * 6) for i in range(8)]
    rewards = [0.9, 0.1, 0.8, 0.2, 0.3, 0.4, 0.5, 0.6]
    told = [Outcome(tokens=t, reward=r, accuracy=r) for t, r in zip(tokens, rewards, strict=True)]
    assert [outcome.reward for outcome in controller._remembered(told)] == [0.9, 0.8, 0.5, 0.6]


def test_a_batch_is_diverse() -> None:
    # Two equal candidates: once the first is taken as known, the second has nothing left to hope for.
    controller = Guided(problem(), GuidedConfig(), 0)
    controller._outcomes = [Outcome(tokens=(0,) * 8, reward=0.1, accuracy=0.1)] * 20
    covariance = 0.01 * np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    pool = [(0,) * 8, (1,) * 8, (2,) * 8]
    mean = np.array([0.5, 0.5, 0.45])
    assert controller._diverse(pool, 0, mean, covariance, np.full(2, 2.0)) == [0, 2]


def test_every_fourth_trial_changes_one_decision_of_the_best() -> None:
    controller = Guided(problem(), GuidedConfig(), 0)
    search(controller, 6)
    best = max(controller._outcomes, key=lambda outcome: outcome.reward).tokens
    asked = controller.ask(6, 8)
    differing = [sum(a != b for a, b in zip(tokens, best, strict=True)) for tokens in asked]
    assert [differing[0], differing[4]] == [1, 1]


def test_the_policy_learns_from_the_model() -> None:
    controller = Guided(problem(), GuidedConfig(policy_steps=30), 0)
    search(controller, 8)
    assert np.mean([decision[2] for decision in controller.beliefs()["probabilities"]]) > 0.5


def test_a_replay_learns_nothing_until_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    lived = Guided(problem(), GuidedConfig(), 0)
    told = search(lived, 9)
    replayed, fits = Guided(problem(), GuidedConfig(), 0), []
    fit = replayed.surrogate.fit
    monkeypatch.setattr(replayed.surrogate, "fit", lambda *known: fits.append(len(known[0])) or fit(*known))
    for start in range(0, len(told), 4):
        replayed.tell(told[start : start + 4])
    assert not fits
    assert replayed.ask(9, 4) == lived.ask(9, 4)
    assert replayed.beliefs() == lived.beliefs()
    assert len(fits) == 1


def test_settings_and_policy_are_fitted_when_outcomes_have_grown_by_a_quarter() -> None:
    controller = Guided(problem(), GuidedConfig(), 0)
    checkpoints = []
    for _ in range(25):
        controller.tell([Outcome(tokens=(0,) * 8, reward=0.5, accuracy=0.5)] * 4)
        checkpoints.append(controller._checkpoint)
    assert checkpoints == [4, 8, 12, 16, 20, 20, *[28] * 2, *[36] * 3, *[48] * 3, *[60] * 4, *[76] * 5, 96, 96]


def test_a_guess_points_the_way_before_anything_is_known() -> None:
    wise = Guided(problem(guesses=lambda tokens: (float(sum(tokens)),)), GuidedConfig(optimism=0.1), 0)
    assert np.mean([sum(tokens) for tokens in wise.ask(0, 8)]) > 12
    blind = Guided(problem(), GuidedConfig(), 0)
    assert np.mean([sum(tokens) for tokens in blind.ask(0, 8)]) < 12


def test_bad_settings_are_named_together() -> None:
    with pytest.raises(InputError, match=r"hidden must be at least 1, got 0; .*learning_rate must be above 0, got 0"):
        GuidedConfig(hidden=0, learning_rate=0)


def test_settings_at_their_bounds_are_allowed() -> None:
    least = {"hidden": 1, "policy_steps": 0, "policy_batch": 2, "patience": 1, "candidates": 1, "refinements": 0}
    config = GuidedConfig(**least, local=1, memory=2, batch=1, entropy_weight=0.0, optimism=0.0)
    assert len(Guided(problem(), config, 0).ask(0, 1)) == 1


def test_a_network_that_was_tried_is_not_proposed_again_as_long_as_there_are_others() -> None:
    """Where the model is sure of the best, it would be proposed for ever."""
    small = problem(decisions=DECISIONS[:3])
    controller, seen = Guided(small, GuidedConfig(optimism=0.0, policy_steps=2), 0), set()
    for batch in range(6):
        asked = controller.ask(batch, 4)
        assert not seen & set(asked)
        assert len(set(asked)) == 4
        seen |= set(asked)
        near, pool = controller._pool(0, np.random.default_rng(0))
        controller.tell([Outcome(tokens=t, reward=sum(t) / 9, accuracy=sum(t) / 9) for t in asked])
        near, pool = controller._pool(0, np.random.default_rng(0))
        assert not seen & set(pool)
        assert near <= len(pool)
    final = controller.ask(6, 4)  # 24 of 27 are known: three that are new, then one that is not
    assert len(set(final) - seen) == 3


def test_optimism_grows_while_nothing_better_is_found() -> None:
    controller = Guided(problem(), GuidedConfig(optimism=2.0, patience=10), 0)

    def hope() -> float:
        return float(controller._optimism(np.random.default_rng(0), 1000).mean())

    def tell(reward: float) -> None:
        controller.tell([Outcome(tokens=(0,) * 8, reward=reward, accuracy=reward)] * 5)

    tell(0.5)
    assert hope() == pytest.approx(2.0, rel=0.1)
    start = hope()
    for trials in (5, 10, 15):
        tell(0.4)
        assert hope() == pytest.approx(start * (1 + trials / 10))
    tell(0.6)
    assert hope() == pytest.approx(start)


def test_a_trial_is_local_whatever_the_model_says() -> None:
    controller = Guided(problem(), GuidedConfig(local=3), 0)
    pool, mean = [(0,) * 8, (1,) * 8, (2,) * 8, (0, 1) * 4], np.array([0.1, 0.2, 0.8, 0.9])
    controller._outcomes = [Outcome(tokens=(0,) * 8, reward=0.1, accuracy=0.1)] * 3
    order = controller._diverse(pool, 2, mean, 1e-9 * np.eye(4), np.zeros(4))
    assert order == [1, 3, 2, 0]  # trials 3 to 6: the best of the two near ones, the best of all, ..., a near one
    controller._outcomes *= 2
    assert controller._diverse(pool, 2, mean, 1e-9 * np.eye(4), np.zeros(4)) == [1, 3, 2, 0]
    controller._outcomes = controller._outcomes[:4]
    assert controller._diverse(pool, 2, mean, 1e-9 * np.eye(4), np.zeros(4)) == [3, 2, 1, 0]
    assert controller._diverse(pool, 0, mean, 1e-9 * np.eye(4), np.zeros(4)) == [3, 2, 1, 0]  # none near


def test_a_decision_without_a_choice_is_no_hindrance() -> None:
    fixed = (*DECISIONS[:3], Decision(name="fixed", choices=("a",)))
    controller = Guided(problem(decisions=fixed), GuidedConfig(policy_steps=1, candidates=1, refinements=3), 0)
    _, pool = controller._pool(0, np.random.default_rng(0))
    assert len(pool) > 1  # mutants of the only sample
