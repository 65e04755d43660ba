from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from controller import surrogate
from controller.surrogate import Surrogate
from search_space.decision import Decision, Tokens, sample_tokens

DECISIONS = tuple(Decision(name=f"d{i}", choices=("a", "b", "c")) for i in range(6))


def features(tokens: Tokens) -> tuple[float, ...]:
    return float(sum(tokens)), float(tokens[0])


def data(number: int, seed: int = 0) -> tuple[list[Tokens], list[float]]:
    generator = np.random.default_rng(seed)
    tokens = [sample_tokens(DECISIONS, generator) for _ in range(number)]
    return tokens, [0.3 + 0.04 * t[0] - 0.03 * t[3] + 0.02 * (t[1] == 2) for t in tokens]


def make(with_features: bool = True) -> Surrogate:
    return Surrogate(DECISIONS, features if with_features else None, None, np.random.default_rng(1))


@pytest.mark.parametrize("with_features", [True, False])
def test_it_predicts_what_it_has_not_seen(with_features: bool) -> None:
    model = make(with_features)
    for _ in range(5):
        model.fit(*data(80))
    tokens, truth = data(60, seed=1)
    mean, variance = model.predict(tokens)
    assert 1 - np.mean((mean - truth) ** 2) / np.var(truth) > 0.9
    assert (variance >= 0).all()


def test_the_posterior_is_that_of_the_textbook() -> None:
    # Rasmussen and Williams, equations 2.23 and 2.24, with an explicit inverse.
    model = make()
    tokens, accuracy = data(12)
    model.fit(tokens, accuracy)
    query, _ = data(5, seed=2)
    observed, asked = model._encode(tokens), model._encode(query)
    kernel = [
        surrogate._kernel(surrogate._parts(a, b), model._log)
        for a, b in ((observed, observed), (observed, asked), (asked, asked))
    ]
    inverse = np.linalg.inv(kernel[0] + np.exp(model._log[5]) * np.eye(12))
    y = np.array(accuracy)
    target = (y - y.mean()) / y.std()
    scale = y.std() ** 2 * target @ inverse @ target / 12
    mean, covariance = model.predict_jointly(query)
    assert mean == pytest.approx(y.mean() + y.std() * kernel[1].T @ inverse @ target, abs=1e-9)
    assert covariance == pytest.approx(scale * (kernel[2] - kernel[1].T @ inverse @ kernel[1]), abs=1e-9)
    assert model.predict(query)[1] == pytest.approx(np.diag(covariance), abs=1e-9)


def test_the_kernel_of_one_pair_by_hand() -> None:
    model = make()
    a, b = model._encode([(0, 0, 0, 0, 0, 0)]), model._encode([(0, 0, 0, 0, 1, 2)])
    linear, inner, differing, squares = surrogate._parts(a, b)
    # Equal choices: (2/3)^2 + 2 (1/3)^2 = 2/3; different ones: -1/3; over six decisions.
    assert linear[0, 0] == pytest.approx((4 * 2 / 3 - 2 / 3) / 6)
    assert differing[0, 0] == 2
    assert squares[0, 0] == pytest.approx(float(np.square(a.features - b.features).sum()))
    assert inner[0, 0] == pytest.approx(float((a.features * b.features).mean()))


def test_fitting_finds_settings_that_explain_more() -> None:
    model = make()
    tokens, accuracy = data(40)
    y = np.array(accuracy)
    target = (y - y.mean()) / y.std()
    parts = surrogate._parts(model._encode(tokens), model._encode(tokens))
    before = surrogate._log_posterior(parts, model._log, target)
    model.fit(tokens, accuracy)
    found = surrogate._log_posterior(parts, model._log, target)
    assert found > before
    model.fit(tokens, accuracy)  # from the start again: what was found before does not matter
    assert surrogate._log_posterior(parts, model._log, target) == found


def guessing(*guesses: Callable[[Tokens], float]) -> Surrogate:
    return Surrogate(DECISIONS, None, lambda tokens: tuple(g(tokens) for g in guesses), np.random.default_rng(1))


def good(tokens: Tokens) -> float:
    return 0.04 * tokens[0] - 0.03 * tokens[3]


def bad(tokens: Tokens) -> float:
    return float(tokens[5])


def test_the_first_guess_is_believed_until_the_observations_say_otherwise() -> None:
    queries, truth = data(60, seed=1)
    wise, misled = guessing(good), guessing(bad)
    assert np.corrcoef(wise.predict(queries)[0], [good(t) for t in queries])[0, 1] > 0.999
    assert np.corrcoef(misled.predict(queries)[0], [bad(t) for t in queries])[0, 1] > 0.999
    for model in (wise, misled):
        model.fit(*data(60))
        assert np.corrcoef(model.predict(queries)[0], truth)[0, 1] > 0.95
    assert wise._coefficients[0] > 0.8
    assert abs(misled._coefficients[0]) < 0.25


def test_other_guesses_are_believed_once_the_observations_bear_them_out() -> None:
    queries, _ = data(60, seed=1)
    model, alone = guessing(bad, good), guessing(bad)
    assert model.predict(queries)[0] == pytest.approx(alone.predict(queries)[0])
    model.fit(*data(60))
    assert model._coefficients[1] > 0.7


def test_another_guess_that_knows_nothing_is_not_believed() -> None:
    useless = [guessing(good, lambda tokens, seed=seed: float(hash((seed, tokens)) % 97)) for seed in range(40)]
    for model in useless:
        model.fit(*data(20))
    believed = [model._coefficients[1] for model in useless if model._coefficients[1] != 0]
    assert len(believed) <= 2  # few look useful by chance
    model = guessing(good)
    model.fit(*data(20))
    others = [model for model in useless if model._coefficients[1] == 0]
    assert [other._coefficients[0] for other in others] == pytest.approx([model._coefficients[0]] * len(others))


def test_one_observation_and_equal_observations_are_enough() -> None:
    for tokens, accuracy in (([(0,) * 6], [0.5]), ([(0,) * 6, (1,) * 6], [0.5, 0.5])):
        model = make()
        model.fit(tokens, accuracy)
        mean, variance = model.predict([(2,) * 6])
        assert mean == pytest.approx([0.5])
        assert np.isfinite(variance).all()


def test_the_log_posterior_by_hand() -> None:
    """Rasmussen and Williams, equation 2.30, at the best scale of the kernel, s^2 = y K^-1 y / n; and the prior."""
    model = make()
    tokens, accuracy = data(9)
    inputs = model._encode(tokens)
    parts, target = surrogate._parts(inputs, inputs), np.array(accuracy) - np.mean(accuracy)
    log = surrogate._PRIOR_MEAN + np.array([0.3, -0.2, 0.1, 0.2, -0.4, 0.5])
    kernel = surrogate._kernel(parts, log) + np.exp(log[5]) * np.eye(9)
    scaled = kernel * (target @ np.linalg.solve(kernel, target) / 9)
    _, log_determinant = np.linalg.slogdet(scaled)
    likelihood = -0.5 * target @ np.linalg.solve(scaled, target) - 0.5 * log_determinant
    prior = -0.5 * (((log - surrogate._PRIOR_MEAN) / surrogate._PRIOR_STD) ** 2).sum()
    assert surrogate._log_posterior(parts, log, target) == pytest.approx(likelihood + 9 / 2 + prior)


def test_the_first_guess_is_trusted_while_there_is_too_little_to_judge_it() -> None:
    model = guessing(bad, good)
    model.fit(*data(3))
    assert model._coefficients[0] != 0
    assert model._coefficients[1] == 0


@pytest.mark.parametrize(("sign", "least", "most"), [(1.0, 0.6, 1.0), (0.0, -0.2, 0.3), (-1.0, -1.0, 0.0)])
def test_a_wrong_first_guess_is_dropped_within_three_batches(sign: float, least: float, most: float) -> None:
    generator = np.random.default_rng(5)
    tokens = [sample_tokens(DECISIONS, generator) for _ in range(12)]
    noise = generator.normal(0, 0.02, 12)
    model = guessing(good)
    model.fit(tokens, [0.5 + sign * good(t) + float(n) for t, n in zip(tokens, noise, strict=True)])
    assert least < model._coefficients[0] < most
