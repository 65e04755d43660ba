from __future__ import annotations

import pytest

from nas.comparison import compare, mean_of


def test_mean_and_standard_error_by_hand() -> None:
    mean = mean_of([0.8, 0.9, 1.0])
    assert mean.mean == pytest.approx(0.9)
    assert mean.standard_error == pytest.approx(0.1 / 3**0.5)


def test_paired_differences_by_hand() -> None:
    """Differences 1, 2, 3 hundredths: mean 2, standard error 1 / sqrt 3; Student's t for two degrees is 4.3027."""
    lead = compare([0.51, 0.72, 0.93], [0.50, 0.70, 0.90], comparisons=1)
    assert lead.mean == pytest.approx(0.02)
    assert lead.standard_error == pytest.approx(0.01 / 3**0.5)
    assert lead.high - lead.mean == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-6)
    assert not lead.distinguishable


def test_pairing_removes_what_seeds_share() -> None:
    lead = compare([0.5, 0.7, 0.9], [0.489, 0.690, 0.891], comparisons=1)
    assert lead.distinguishable
    assert compare([0.489, 0.690, 0.891], [0.5, 0.7, 0.9], comparisons=1).distinguishable


def test_more_comparisons_need_a_larger_lead() -> None:
    """Student's t for two degrees at 1 - 0.05 / 6 is 7.6488."""
    once, thrice = (compare([0.51, 0.72, 0.93], [0.50, 0.70, 0.90], n) for n in (1, 3))
    assert thrice.high > once.high
    assert thrice.high - thrice.mean == pytest.approx(7.648826 * 0.01 / 3**0.5, rel=1e-5)


def test_equal_results_are_not_distinguishable() -> None:
    assert not compare([0.5, 0.6], [0.5, 0.6], comparisons=1).distinguishable
