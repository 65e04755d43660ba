from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.base import Evaluation
from search_space.errors import InputError
from tests.toys import ToyConfig, ToyEvaluator

UNIT = st.floats(0, 1)
EVALUATIONS = st.one_of(
    st.builds(
        Evaluation,
        status=st.just("ok"),
        accuracy=UNIT,
        curve=st.lists(UNIT, max_size=4),
        losses=st.lists(st.floats(0, 100), max_size=4),
        seconds=st.floats(0, 1e6),
    ),
    st.builds(
        Evaluation,
        status=st.sampled_from(["infeasible", "diverged", "failed", "timeout"]),
        reason=st.text(min_size=1),
        seconds=st.floats(0, 1e6),
    ),
)


@given(EVALUATIONS)
def test_an_evaluation_reads_back_from_json(evaluation: Evaluation) -> None:
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json(), allow_nan=False))) == evaluation


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "ok"},
        {"status": "failed", "reason": "why", "accuracy": 0.5},
        {"status": "failed"},
        {"status": "ok", "accuracy": 1.5},
        {"status": "ok", "accuracy": math.nan},
        {"status": "ok", "accuracy": -1.0},
        {"status": "ok", "accuracy": True},
        {"status": "ok", "accuracy": 0.5, "losses": [math.nan]},
        {"status": "ok", "accuracy": 0.5, "losses": 3},
        {"status": "ok", "accuracy": 0.5, "curve": [1.2]},
        {"status": "ok", "accuracy": 0.5, "seconds": math.inf},
        {"status": "ok", "accuracy": 0.5, "seconds": -1},
        {"status": "failed", "reason": b"why"},
        {"status": "fine", "reason": "why"},
    ],
)
def test_what_could_not_be_read_back_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="must be"):
        Evaluation(**wrong)  # type: ignore[arg-type]


def test_numbers_of_numpy_become_plain_ones() -> None:
    values = {
        "accuracy": np.float32(0.5),
        "losses": [np.float64(2)],
        "curve": (np.float16(0.5),),
        "seconds": np.int64(3),
    }
    found = Evaluation(status="ok", **values)  # type: ignore[arg-type]
    assert found == Evaluation(status="ok", accuracy=0.5, losses=(2.0,), curve=(0.5,), seconds=3.0)
    assert {type(found.accuracy), type(found.losses[0]), type(found.curve[0]), type(found.seconds)} == {float}


def test_a_reason_is_one_line_that_can_be_written() -> None:
    evaluation = Evaluation(status="failed", reason="two\nlines \x1b[31m \ud800" + "x" * 1000)
    assert evaluation.reason.startswith("two\\nlines \\x1b[31m \\ud800xx")
    assert evaluation.reason.encode()
    assert len(evaluation.reason) <= 500


@pytest.mark.parametrize("data", [None, [], {}, {"status": "ok", "accuracy": 0.5, "colour": 1}])
def test_what_is_no_evaluation_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="evaluation: expected a mapping of accuracy"):
        Evaluation.from_json(data)


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match=r"status must be one of ok, .*, got 'fine'"):
        Evaluation.from_json({"status": "fine"})


def test_the_time_of_an_evaluation_is_the_configs() -> None:
    """So that --trial-timeout is kept for a user's own evaluators."""
    assert ToyEvaluator.time_limit(ToyConfig()) is None
    assert ToyEvaluator.time_limit(SimpleNamespace(timeout=3)) == 3.0  # type: ignore[arg-type]
    for odd in (None, "3", 0, -1.0, float("nan")):
        assert ToyEvaluator.time_limit(SimpleNamespace(timeout=odd)) is None  # type: ignore[arg-type]
