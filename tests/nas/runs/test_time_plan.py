from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.runs.time_plan import (
    AIM,
    EFFICIENCY,
    ENOUGH_TRIALS,
    LEAST_PASSES,
    MOST_EPOCHS,
    MOST_TRIALS,
    Budget,
    Measured,
    Plan,
    Reserve,
    Said,
    describe,
    plan,
    wall,
)
from search_space.errors import InputError
from search_space.io import schema

FASHION = Measured(seconds=10.0, epochs=5, images=60_000)
"""Thirty thousand images shown a second."""
RESERVES = st.builds(
    Reserve,
    reference=st.floats(0, 5),
    trust=st.floats(0, 2),
    final=st.floats(0, 40),
    final_share=st.sampled_from([0.0, 1.0]),
)
BUDGETS = st.builds(
    Budget, seconds=st.floats(1, 1e5), spent=st.floats(0, 30), workers=st.integers(1, 64), reserve=RESERVES
)
MEASURED = st.builds(
    Measured, seconds=st.floats(1e-3, 1e4), epochs=st.integers(1, 30), images=st.integers(20, 2_000_000)
)
SAID = st.builds(
    Said,
    epochs=st.none() | st.integers(1, 100),
    all_images=st.booleans(),
    promote=st.none() | st.integers(2, 8),
    batch=st.integers(1, 128),
)


def budget(seconds: float, **changes: object) -> Budget:
    base = Budget(seconds=seconds, spent=0.0, workers=1, reserve=Reserve(reference=1, trust=0.2))
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def planned(measured: Measured, given: Budget, said: Said) -> Plan | None:
    try:
        return plan(measured, given, said)
    except InputError:
        return None


def cost(found: Plan, said: Said) -> float:
    """Seconds that the plan takes, counted trial by trial where all batches are whole."""
    long = math.ceil(said.batch / 4) if said.promote else 0
    a_trial = (said.batch + long * ((said.promote or 1) - 1)) / (said.batch + long)
    follows = found.reserve.reference + found.reserve.final
    follows += (found.reserve.trust + found.reserve.final_share) * found.trials
    return wall(found.trials * a_trial + follows, found.seconds, found.workers)


@given(MEASURED, BUDGETS, SAID)
def test_no_plan_takes_more_than_there_is(measured: Measured, given: Budget, said: Said) -> None:
    found = planned(measured, given, said)
    if found is not None:
        assert given.spent + cost(found, said) <= AIM * given.seconds * (1 + 1e-9)
        assert 3 <= found.trials <= MOST_TRIALS
        assert found.epochs == (said.epochs or found.epochs)
        assert found.images == measured.images if said.all_images else found.images <= measured.images
        assert found.seconds == pytest.approx(
            measured.seconds * found.epochs * found.images / measured.epochs / measured.images
        )


@given(MEASURED, BUDGETS, SAID, st.floats(1, 100))
def test_more_time_is_never_less_work(measured: Measured, given: Budget, said: Said, factor: float) -> None:
    less = planned(measured, given, said)
    more = planned(measured, dataclasses.replace(given, seconds=factor * given.seconds), said)
    if less is not None:
        assert more is not None
        assert (more.trials, more.epochs, more.images) >= (less.trials, less.epochs, less.images)
        assert more.epochs * more.images >= less.epochs * less.images


def test_first_more_networks_then_longer_trainings_then_more_networks() -> None:
    least = plan(FASHION, budget(20), Said())
    assert (least.epochs, least.images) == (1, LEAST_PASSES)
    some = plan(FASHION, budget(60), Said())
    assert least.trials < some.trials < ENOUGH_TRIALS
    assert some.epochs * some.images == least.epochs * least.images
    longer = plan(FASHION, budget(600), Said())
    assert longer.trials == ENOUGH_TRIALS
    assert (longer.epochs, longer.images) == (1, 60_000)
    full = plan(FASHION, budget(60_000), Said())
    assert (full.epochs, full.images) == (MOST_EPOCHS, 60_000)
    assert full.trials > ENOUGH_TRIALS


def test_small_data_are_shown_more_often_up_to_a_full_training() -> None:
    digits = plan(Measured(seconds=1.0, epochs=5, images=1500), budget(60), Said())
    assert (digits.epochs, digits.images) == (math.ceil(LEAST_PASSES / 1500), 1500)
    few = plan(Measured(seconds=1.0, epochs=5, images=300), budget(600), Said())
    assert (few.epochs, few.images) == (MOST_EPOCHS, 300)


def test_what_is_said_stands() -> None:
    found = plan(FASHION, budget(600), Said(trials=10))
    assert (found.trials, found.open) == (10, False)
    assert found.epochs * found.images > plan(FASHION, budget(600), Said()).images * 3
    found = plan(FASHION, budget(600), Said(epochs=2, all_images=True))
    assert (found.epochs, found.images, found.open) == (2, 60_000, True)
    assert found.trials == (0.95 * 600 / 4 - 1) // 1.2
    forced = plan(FASHION, budget(10), Said(trials=500))
    assert (forced.trials, forced.epochs * forced.images) == (500, LEAST_PASSES)  # the clock will end it


def test_batches_are_whole() -> None:
    assert plan(FASHION, budget(30), Said(batch=8)).trials % 8 == 0
    assert plan(FASHION, budget(8), Said(batch=64)).trials < 8


def test_workers_share_the_work_less_than_perfectly() -> None:
    one, four = (plan(FASHION, budget(15, workers=workers), Said()).trials for workers in (1, 4))
    assert 4 * EFFICIENCY * one == pytest.approx(four, abs=4)


def test_too_little_time_says_how_much_is_needed() -> None:
    little = budget(1, spent=5)
    with pytest.raises(InputError, match=r"--time 1s .* for 3 trainings of 1\.1 s on one worker .* 11s or more"):
        plan(FASHION, little, Said())
    with pytest.raises(InputError, match="for 2 trainings of"):
        plan(FASHION, little, Said(trials=2))
    assert plan(FASHION, budget(11, spent=5), Said()).trials == 3


def test_a_plan_is_said_in_two_lines_and_read_back() -> None:
    reserve = Reserve(reference=1, trust=0.2, final=10, final_share=1)
    found = plan(FASHION, budget(600, workers=2, reserve=reserve), Said())
    first, second = describe(found, 600)
    assert first.startswith(f"Plan for 10:00: {found.trials} networks, each trained for 1 epoch on {found.images:,} ")
    assert first.endswith("on 2 workers")
    assert "trained for 3 epochs on 1,000 images" in describe(dataclasses.replace(found, epochs=3, images=1000), 600)[0]
    assert second.startswith("Kept for what follows: reference networks 0:0")
    assert "the trust report" in second
    assert "the final" in second
    assert schema.from_mapping(Plan, schema.to_plain(found), "plan") == found
    fixed = plan(Measured(seconds=0.001), budget(1, reserve=Reserve(reference=0)), Said(epochs=1))
    assert describe(fixed, 1) == ["Plan for 0:01: 949 networks, about 1 ms each, on one worker"]
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        dataclasses.replace(found, workers=0)
