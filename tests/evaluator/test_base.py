from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.base import Evaluation
from search_space.errors import InputError

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
    ],
)
def test_a_status_and_an_accuracy_that_contradict_each_other_are_a_bug(wrong: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        Evaluation(**wrong)  # type: ignore[arg-type]


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match=r"evaluation: status: must be one of ok, .*, got 'fine'"):
        Evaluation.from_json({"status": "fine"})
