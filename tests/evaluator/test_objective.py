import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.objective import SLOPES, Objective, with_exponent
from search_space.errors import InputError

T = 400_000_000


def test_soft_is_mnasnets_weighted_product():
    objective = Objective(target_macs=T)
    assert objective.reward(0.8, T) == 0.8
    assert objective.reward(0.8, 2 * T) == pytest.approx(0.8 * math.exp(-0.07 * math.log(2)), rel=1e-12)
    # MnasNet's reading of its exponent: twice the cost is worth 5 % of accuracy.
    assert objective.reward(1.05, 2 * T) == pytest.approx(objective.reward(1.0, T), rel=2e-3)
    assert objective.reward(0.8, T // 2) > 0.8


def test_hard_ignores_cost_below_the_target_and_divides_by_it_above():
    objective = Objective(target_macs=T, kind="hard")
    assert objective.reward(0.8, T // 4) == 0.8
    assert objective.reward(0.8, 2 * T) == pytest.approx(0.4, rel=1e-12)


def test_absolute_punishes_both_sides_of_the_target():
    objective = Objective(target_macs=T, kind="absolute", alpha=-0.2, beta=-0.5)
    assert objective.reward(0.8, T) == 0.8
    assert objective.reward(0.8, T // 2) == pytest.approx(0.8 - 0.2 * 0.5, rel=1e-12)
    assert objective.reward(0.8, 2 * T) == pytest.approx(0.8 - 0.5 * 1.0, rel=1e-12)


def test_slopes_can_be_set_and_default_to_the_kinds_own():
    assert (Objective(target_macs=T, kind="hard").alpha, Objective(target_macs=T, kind="hard").beta) == SLOPES["hard"]
    objective = Objective(target_macs=T, alpha=-1, beta=-2)
    assert objective.reward(1.0, T // 2) == pytest.approx(2.0)
    assert objective.reward(1.0, 2 * T) == pytest.approx(0.25)
    assert Objective(target_macs=T, alpha=-1) == Objective(target_macs=T, alpha=-1.0, beta=-0.07)


@given(
    kind=st.sampled_from(sorted(SLOPES)),
    accuracy=st.floats(0, 1),
    macs=st.integers(10**6, 10**11),
    target=st.integers(10**6, 10**11),
)
def test_accuracy_for_is_the_inverse_of_reward(kind, accuracy, macs, target):
    objective = Objective(target_macs=target, kind=kind)
    reward = objective.reward(accuracy, macs)
    assert math.isfinite(reward)
    # The absolute form subtracts up to 1e4 from an accuracy, which costs it digits.
    assert objective.accuracy_for(reward, macs) == pytest.approx(accuracy, rel=1e-9, abs=1e-9)


@given(kind=st.sampled_from(sorted(SLOPES)), accuracy=st.floats(0.01, 0.9), macs=st.integers(T + 1, 4 * T))
def test_reward_grows_with_accuracy_and_falls_with_cost_above_the_target(kind, accuracy, macs):
    objective = Objective(target_macs=T, kind=kind)
    assert objective.reward(accuracy + 0.05, macs) > objective.reward(accuracy, macs)
    assert objective.reward(accuracy, macs + T // 10) < objective.reward(accuracy, macs)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "medium"}, "kind must be one of soft, hard, absolute, got 'medium'"),
        ({"target_macs": 0}, "target_macs must be a whole number of at least 1, got 0"),
        ({"target_macs": True}, "target_macs must be a whole number"),
        ({"target_macs": 4e8}, "target_macs must be a whole number"),
        ({"alpha": 0.07}, "alpha must be a number from -10 to 0, got 0.07"),
        ({"beta": float("nan")}, "beta must be a number from -10 to 0, got nan"),
        ({"beta": "steep"}, "beta must be a number from -10 to 0, got 'steep'"),
        ({"kind": "absolute", "beta": 0}, "beta must be below 0 where kind is absolute"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(InputError, match=message):
        Objective(**{"target_macs": T, **fields})


def test_it_needs_no_torch():
    code = "import sys, evaluator.objective; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_latency_is_a_second_factor_of_the_same_form():
    objective = Objective(target_macs=T, target_latency_ms=20.0)
    assert objective.reward(0.8, T, 20.0) == 0.8
    assert objective.reward(0.8, 2 * T, 40.0) == pytest.approx(0.8 * 4**-0.07, rel=1e-12)
    assert objective.reward(0.8, 2 * T) == pytest.approx(0.8 * 2**-0.07, rel=1e-12)
    assert Objective(target_macs=T).reward(0.8, T, 40.0) == 0.8
    only = Objective(target_macs=T, kind="hard", target_latency_ms=20.0)
    assert only.reward(0.8, T // 2, 40.0) == pytest.approx(0.4, rel=1e-12)
    absolute = Objective(target_macs=T, kind="absolute", alpha=-0.2, beta=-0.5, target_latency_ms=20.0)
    assert absolute.reward(0.8, T // 2, 30.0) == pytest.approx(0.8 - 0.2 * 0.5 - 0.5 * 0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "raised"),
    [
        ({}, True),
        ({"kind": "hard"}, False),
        ({"kind": "hard", "alpha": -0.1}, True),
        ({"kind": "absolute"}, False),
        ({"alpha": 0}, False),
    ],
)
def test_whether_a_low_latency_raises_the_reward(fields, raised):
    assert not Objective(target_macs=T, **fields).rewards_low_latency
    objective = Objective(target_macs=T, target_latency_ms=20.0, **fields)
    assert objective.rewards_low_latency == raised
    best = max(objective.reward(0.8, T // 2, latency) for latency in (0.1, 10.0, 20.0, 30.0))
    assert (best > objective.reward(0.8, T // 2)) == raised


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_latency_target_that_is_none(value):
    with pytest.raises(InputError, match="target_latency_ms must be above 0"):
        Objective(target_macs=T, target_latency_ms=value)
    assert Objective(target_macs=T, target_latency_ms=0.5).target_latency_ms == 0.5


def test_an_unknown_latency_device():
    with pytest.raises(InputError, match="latency_device must be cpu or cuda, got 'tpu'"):
        Objective(target_macs=T, latency_device="tpu")  # type: ignore[arg-type]


def test_an_exponent_is_short_for_the_slopes() -> None:
    assert with_exponent({"kind": "soft"}) == {"kind": "soft"}
    assert with_exponent({"kind": "hard", "exponent": -0.5}) == {"kind": "hard", "beta": -0.5}
    assert with_exponent({"kind": "soft", "exponent": 0.0}) == {"kind": "soft", "alpha": 0.0, "beta": 0.0}
