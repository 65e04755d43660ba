from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from evaluator.base import Evaluation
from evaluator.function import FunctionConfig, as_evaluation, as_evaluator_class
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.toys import ToyEvaluator

B0 = Architecture.load("efficientnet-b0")


def accuracy(architecture: Architecture, seed: int) -> float:
    """Of a network that is worth its layers."""
    return min(1.0, sum(stage.layers for stage in architecture.stages) / 100 + seed / 1000)


def test_a_function_is_an_evaluator() -> None:
    cls = as_evaluator_class(accuracy, "own:accuracy")
    evaluator = cls(FunctionConfig(timeout=3.0))
    assert as_evaluation(evaluator.evaluate(B0, 7), 0.0).accuracy == pytest.approx(0.167)
    assert cls.time_limit(evaluator.config) == 3.0
    assert cls.presets == {"default": FunctionConfig()}
    assert as_evaluator_class(ToyEvaluator, "t") is ToyEvaluator


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (json.loads, r"evaluator own:x: a function must take \(architecture, seed\)"),
        (dict, "must be a subclass of Evaluator or a function, got another class"),
        (3, "must be a subclass of Evaluator or a function, got int"),
        (lambda architecture: 0.5, "a function must take"),
    ],
)
def test_what_is_no_evaluator_is_refused(found: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_evaluator_class(found, "own:x")


def test_a_timeout_must_be_above_zero() -> None:
    with pytest.raises(InputError, match=r"timeout must be above 0 seconds, got 0"):
        FunctionConfig(timeout=0)


@pytest.mark.parametrize("found", [0.5, 1, np.float32(0.5), np.array(0.5), torch.tensor(0.5), torch.tensor([0.5])])
def test_a_number_is_an_accuracy(found: Any) -> None:
    evaluation = as_evaluation(found, 2.5)
    assert evaluation == Evaluation(status="ok", accuracy=float(found), curve=(float(found),), seconds=2.5)
    assert type(evaluation.accuracy) is float


@pytest.mark.parametrize("found", [None, "0.5", b"0.5", True, float("nan"), -0.1, 1.1, {}, [0.5], torch.ones(3), print])
def test_anything_else_is_refused(found: object) -> None:
    with pytest.raises(InputError, match="it must return an Evaluation or an accuracy from 0 to 1, got"):
        as_evaluation(found, 0.0)
