from __future__ import annotations

import numpy as np
import pytest

from nas.statistics import (
    CONFIDENCE,
    _middle,
    at_chance,
    deviation,
    exceeds,
    leads,
    mean_of,
    paired_difference,
    rank_advantage,
    rank_correlation,
)


def test_mean_and_standard_error_by_hand() -> None:
    mean = mean_of([0.8, 0.9, 1.0])
    assert mean.mean == pytest.approx(0.9)
    assert mean.standard_error == pytest.approx(0.1 / 3**0.5)


def test_paired_differences_by_hand() -> None:
    """Differences 1, 2, 3 hundredths: mean 2, standard error 1 / sqrt 3; Student's t for two degrees is 4.3027."""
    lead = paired_difference([0.51, 0.72, 0.93], [0.50, 0.70, 0.90], comparisons=1)
    assert lead.mean == pytest.approx(0.02)
    assert lead.standard_error == pytest.approx(0.01 / 3**0.5)
    assert lead.high - lead.mean == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-6)
    assert not lead.distinguishable


def test_pairing_removes_what_seeds_share() -> None:
    lead = paired_difference([0.5, 0.7, 0.9], [0.489, 0.690, 0.891], comparisons=1)
    assert lead.distinguishable
    assert paired_difference([0.489, 0.690, 0.891], [0.5, 0.7, 0.9], comparisons=1).distinguishable


def test_more_comparisons_need_a_larger_lead() -> None:
    """Student's t for two degrees at 1 - 0.05 / 6 is 7.6488."""
    once, thrice = (paired_difference([0.51, 0.72, 0.93], [0.50, 0.70, 0.90], n) for n in (1, 3))
    assert thrice.high > once.high
    assert thrice.high - thrice.mean == pytest.approx(7.648826 * 0.01 / 3**0.5, rel=1e-5)


def test_equal_results_are_not_distinguishable() -> None:
    assert not paired_difference([0.5, 0.6], [0.5, 0.6], comparisons=1).distinguishable


def test_tau_by_hand() -> None:
    # Of the six pairs five agree and one does not: (5 - 1) / 6.
    assert rank_correlation([1, 2, 3, 4], [1, 2, 4, 3], seed=0).tau == pytest.approx(4 / 6)
    assert rank_correlation([1, 2, 3], [3, 2, 1], seed=0).tau == -1


def test_a_constant_score_agrees_with_nothing() -> None:
    result = rank_correlation([1, 1, 1], [1, 2, 3], seed=0)
    assert (result.tau, result.low, result.high) == (0, 0, 0)


def test_ties_by_hand() -> None:
    # tau-b: of six pairs four are untied in both and agree, one is tied in each score: 4 / sqrt(5 * 5).
    assert rank_correlation([1, 1, 2, 3], [1, 2, 3, 3], seed=0).tau == pytest.approx(4 / 5)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Bivariate normal with correlation rho: tau = 2 / pi * arcsin(rho).
    generator, rho, inside = np.random.default_rng(2), 0.6, 0
    truth = 2 / np.pi * np.arcsin(rho)
    for seed in range(40):
        x, noise = generator.normal(size=(2, 40))
        result = rank_correlation(list(x), list(rho * x + (1 - rho**2) ** 0.5 * noise), seed)
        inside += result.low <= truth <= result.high
    assert 30 <= inside <= 40


def test_the_same_seed_gives_the_same_interval_and_text() -> None:
    x, y = [1.0, 2.0, 3.0, 5.0, 4.0], [2.0, 1.0, 3.0, 4.0, 5.0]
    assert rank_correlation(x, y, 1) == rank_correlation(x, y, 1)
    assert str(rank_correlation(x, y, 1)).startswith("+0.60 [")
    assert rank_correlation(x, y, 1).networks == 5


def test_an_advantage_is_the_difference_of_two_taus_on_the_same_draws() -> None:
    truth, good, bad = [1, 2, 3, 4, 5], [1, 2, 3, 5, 4], [5, 4, 3, 2, 1]
    advantage = rank_advantage(good, bad, truth, seed=0)
    assert advantage.tau == pytest.approx(8 / 10 + 1)
    assert rank_advantage(good, good, truth, seed=0) == rank_advantage(bad, bad, truth, seed=1)
    assert rank_advantage(good, good, truth, seed=0).tau == 0


def test_taus_of_several_scores_are_averaged_draw_by_draw() -> None:
    truth, good, bad = [1, 2, 3, 4, 5], [1, 2, 3, 5, 4], [5, 4, 3, 2, 1]
    both = rank_correlation([good, bad], truth, seed=0)
    assert both.tau == pytest.approx((8 / 10 - 1) / 2)
    assert both.networks == 5
    assert rank_correlation([good, good], truth, seed=0) == rank_correlation(good, truth, seed=0)
    assert rank_advantage([good, bad], bad, truth, seed=0).tau == pytest.approx(both.tau + 1)


def test_a_deviation_and_its_interval() -> None:
    """Sum of squares 4 over 4 degrees; the 2.5 and 97.5 % points of chi-squared are .4844 and 11.143."""
    found = deviation(4.0, 4)
    assert found.value == 1
    assert found.low == pytest.approx((4 / 11.143287) ** 0.5)
    assert found.high == pytest.approx((4 / 0.48441856) ** 0.5)


@pytest.mark.parametrize(("ratio", "expected"), [(1.7, False), (1.9, True)])
def test_one_deviation_exceeds_another_by_the_f_test(ratio: float, expected: bool) -> None:
    """The 95 % point of F for 10 and 10 degrees is 2.978, whose root is 1.726; for sums as given here."""
    larger, smaller = deviation(10 * ratio**2, 10), deviation(10.0, 10)
    assert exceeds(larger, smaller) is expected
    assert exceeds(smaller, deviation(0.0, 3))


def test_intervals_are_those_of_95_percent() -> None:
    low, high = _middle(np.arange(1001.0))
    assert (low, high) == pytest.approx((25.0, 975.0))
    assert CONFIDENCE == 0.95


def test_guessing_is_told_from_learning_by_the_binomial() -> None:
    """Of 100 images at one in ten the 95 % point is 15 right; shared by ten trainings, the 99.5 % point is 18."""
    described = {"majority_share": 0.1, "validation_images": 100}
    assert at_chance([0.15], described) == (
        "accuracies, 15.0% at best, are those of always answering the largest class (10.0%)"
    )
    assert at_chance([0.16], described) == ""
    assert at_chance([0.05] * 9 + [0.18], described)
    assert at_chance([0.05] * 9 + [0.19], described) == ""
    for unknown in ({}, {"majority_share": 0.1}, {"validation_images": 9}, {**described, "majority_share": "a tenth"}):
        assert at_chance([0.1], unknown) == ""
    assert at_chance([], described) == ""


def test_the_first_is_ahead_of_each_with_intervals_for_all_pairs() -> None:
    scores = [(0.9, 0.92, 0.91), (0.88, 0.91, 0.9), (0.7, 0.72, 0.74)]
    assert leads(scores) == [paired_difference(scores[0], other, 3) for other in scores[1:]]
