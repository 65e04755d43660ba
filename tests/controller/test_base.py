from __future__ import annotations

import dataclasses

import pytest

from controller.base import Controller, Outcome, Problem


def test_a_controller_without_ask_and_tell_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Controller(None, None, 0)  # type: ignore[abstract, arg-type]


def test_an_outcome_is_a_value() -> None:
    outcome = Outcome(tokens=(1, 2), reward=0.5, accuracy=None)
    assert outcome == Outcome(tokens=(1, 2), reward=0.5, accuracy=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        outcome.reward = 1.0  # type: ignore[misc]


def test_nothing_is_better_than_all_images_right() -> None:
    half = Problem(decisions=(), reward=lambda tokens, accuracy: accuracy / 2, network=str, admissible=lambda _: True)
    assert half.can_beat((), 0.49)
    assert not half.can_beat((), 0.5)
    assert dataclasses.replace(half, open_ended=True).can_beat((), 0.5)
