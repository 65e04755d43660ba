import numpy as np
import pytest

from nas.ranking import agreement


def test_tau_by_hand() -> None:
    # Of the six pairs five agree and one does not: (5 - 1) / 6.
    assert agreement([1, 2, 3, 4], [1, 2, 4, 3], seed=0).tau == pytest.approx(4 / 6)
    assert agreement([1, 2, 3], [3, 2, 1], seed=0).tau == -1


def test_a_constant_score_agrees_with_nothing() -> None:
    result = agreement([1, 1, 1], [1, 2, 3], seed=0)
    assert (result.tau, result.low, result.high) == (0, 0, 0)


def test_ties_by_hand() -> None:
    # tau-b: of six pairs four are untied in both and agree, one is tied in each score: 4 / sqrt(5 * 5).
    assert agreement([1, 1, 2, 3], [1, 2, 3, 3], seed=0).tau == pytest.approx(4 / 5)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Bivariate normal with correlation rho: tau = 2 / pi * arcsin(rho).
    generator, rho, inside = np.random.default_rng(2), 0.6, 0
    truth = 2 / np.pi * np.arcsin(rho)
    for seed in range(40):
        x, noise = generator.normal(size=(2, 40))
        result = agreement(list(x), list(rho * x + (1 - rho**2) ** 0.5 * noise), seed)
        inside += result.low <= truth <= result.high
    assert 30 <= inside <= 40


def test_the_same_seed_gives_the_same_interval_and_text() -> None:
    x, y = [1.0, 2.0, 3.0, 5.0, 4.0], [2.0, 1.0, 3.0, 4.0, 5.0]
    assert agreement(x, y, 1) == agreement(x, y, 1)
    assert str(agreement(x, y, 1)).startswith("+0.60 [")
    assert agreement(x, y, 1).networks == 5
