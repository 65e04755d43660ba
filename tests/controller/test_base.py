from __future__ import annotations

import dataclasses

import pytest

from controller.base import Controller, Outcome


def test_a_controller_without_ask_and_tell_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Controller(None, None, 0)  # type: ignore[abstract, arg-type]


def test_an_outcome_is_a_value() -> None:
    outcome = Outcome(tokens=(1, 2), reward=0.5, accuracy=None)
    assert outcome == Outcome(tokens=(1, 2), reward=0.5, accuracy=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        outcome.reward = 1.0  # type: ignore[misc]
