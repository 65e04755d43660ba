import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.recipe import Recipe, one_cycle
from search_space.errors import InputError


@given(steps=st.integers(1, 500), peak=st.floats(1e-6, 1.0))
def test_the_learning_rate_rises_once_to_the_peak_and_falls_once(steps, peak):
    rates = [one_cycle(step, steps, peak) for step in range(steps)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(peak)
    assert min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 to below 1"),
        ({"epochs": 0, "batch_size": 0}, "epochs must be at least 1, got 0; batch_size must be"),
    ],
)
def test_wrong_fields_are_named_together(fields, message):
    with pytest.raises(InputError, match=message):
        Recipe(**fields)


def test_the_learning_rate_falls_to_a_step_above_zero():
    rates = [one_cycle(step, 100, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 30)
    assert max(rates) == rates[29] == 0.5  # the last of the first 30 steps
    assert rates[65] == pytest.approx(0.5 * 35 / 71)
    assert rates[99] == pytest.approx(0.5 / 71)
