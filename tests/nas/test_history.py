from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.history import History, fold
from nas.journal import read
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import schema
from search_space.space import SearchSpace

KEPT = Path(__file__).parent / "runs" / "journals"
EVENTS = list(read(KEPT / "reinforce" / "journal.jsonl"))
B0 = Architecture.load("efficientnet-b0")
FINALIST = {"name": "b0", "role": "reference", "network": schema.to_plain(B0), "accuracies": [0.5, 0.6]}
FINAL = {"event": "final", "final": {"trials": 40, "finalists": [FINALIST, FINALIST], "verdict": "nothing"}}


def final(**values: Any) -> dict[str, Any]:
    return {"event": "final", "final": {**FINAL["final"], "finalists": [{**FINALIST, **values}, FINALIST]}}


def test_what_the_events_say() -> None:
    history = fold(EVENTS, "j")
    assert len(history.trials) == len(history.finished) == 40
    assert history.batches == [range(start, start + 8) for start in range(0, 40, 8)]
    assert history.learned_from == [tuple(batch) for batch in history.batches]
    assert history.config["controller"]["name"] == "reinforce"
    assert history.best == max(history.trials, key=lambda trial: trial.reward or 0)
    assert list(history.references) == ["efficientnet-b0"]


def test_an_update_may_name_its_trials_and_results_of_earlier_runs_come_first() -> None:
    history = fold(read(KEPT / "async" / "journal.jsonl"), "j")
    assert sorted(number for numbers in history.learned_from for number in numbers) == list(range(24))
    assert len(fold(read(KEPT / "warm" / "journal.jsonl"), "j").told) == 40


def test_work_is_summed_over_processes() -> None:
    header = EVENTS[0] | {"plan": {"trials": 5}}
    notes: list[dict[str, Any]] = [{"event": "worked", "seconds": seconds} for seconds in (1.5, 2, 0.25)]
    history = fold([header, *notes, {"event": "ended", "trials": 3}], "j")
    assert (history.plan, history.worked, history.ended) == ({"trials": 5}, 3.75, 3)
    for wrong in ({"event": "worked", "seconds": "long"}, {"event": "ended", "trials": -1}, EVENTS[0] | {"plan": 5}):
        with pytest.raises(InputError, match="line 1: not an event of a run"):
            fold([wrong], "j")


def test_a_reference_may_say_what_it_was_and_a_final_how_it_ended() -> None:
    plain = schema.to_plain(B0)
    found = {"event": "reference", "name": "b0", "evaluation": {"status": "ok", "accuracy": 0.5}, "network": plain}
    history = fold([*EVENTS, found, FINAL], "j")
    assert history.reference_networks == {"b0": B0}
    assert history.references["b0"].accuracy == 0.5
    assert history.final is not None
    assert schema.to_plain(history.final) == FINAL["final"]
    assert (history.final.trials, history.final.finalists[0].network) == (40, B0)


def changed(index: int, **values: Any) -> list[dict[str, Any]]:
    events = copy.deepcopy(EVENTS)
    events[index] |= values
    return events


NESTED: Any = []
for _ in range(900):
    NESTED = [NESTED]
ROW = {"trial": 0, "tokens": [0], "key": "k", "macs": 1, "params": 1}


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([*EVENTS, EVENTS[0]], "line 53: not an event of a run: a second header"),
        ([EVENTS[0], EVENTS[2]], "line 2: not an event of a run: finished: IndexError"),
        ([*EVENTS[:3], *EVENTS[2:]], "line 4: not an event of a run: trial 0 finished twice"),
        ([*EVENTS[:2], *EVENTS[1:]], "line 3: not an event of a run: batch 0 follows batch 0"),
        (EVENTS[:5] + EVENTS[10:], "line 6: not an event of a run: update 0 learned from trial 3, which has no result"),
        ([*EVENTS, final(accuracies=[0.5])], "each with an accuracy from 0 to 1 on the same two or more seeds"),
        ([*EVENTS, final(accuracies=[0.5, 7])], "each with an accuracy from 0 to 1 on the same two or more seeds"),
        ([*EVENTS, final(role="winner")], "role: must be one of found, random, reference, got 'winner'"),
        ([*EVENTS, final(network={"stem": 8})], "network: missing key 'stages'"),
        ([*EVENTS, {"event": "final", "final": []}], "final: expected a mapping of trials, finalists, verdict"),
        (changed(0, config=None), "line 1: not an event of a run: its header has no config"),
        (changed(1, trials=[{**ROW, "trial": 3}]), "trial 3 stands where trial 0 belongs"),
        (changed(1, trials=[{**ROW, "tokens": [0.5]}]), "expected a whole number from 0, got '0.5'"),
        (changed(1, trials=[{**ROW, "tokens": [-1]}]), "expected a whole number from 0, got '-1'"),
        (changed(1, trials=[{**ROW, "tokens": [True]}]), "expected a whole number from 0, got 'True'"),
        (changed(1, trials=[{**ROW, "key": 3}]), "expected text, got '3'"),
        (changed(1, trials=[{}]), "proposed: KeyError: 'trial'"),
        (changed(2, evaluation={"status": "ok", "accuracy": 5}), "accuracy must be from 0 to 1, got 5"),
        (changed(2, evaluation=None), "expected a mapping of accuracy"),
        (changed(2, reward="much"), "expected a number, got 'much'"),
        (changed(2, repeat_of=5), "trial 0 repeats trial 5, which has no result"),
        (changed(10, signals=None), "updated: TypeError"),
        (changed(10, signals={"probabilities": [["x"]]}), "expected a number, got 'x'"),
        (changed(10, signals={"probabilities": [[1e999]]}), "expected a number, got 'inf'"),
        (changed(10, signals={"probabilities": 3}), "updated: TypeError"),
        (changed(2, reward=10**400), "expected a number, got '1000"),
        (changed(2, evaluation={"status": "ok", "accuracy": 0.5, "seconds": 1e300}), "seconds must be 0 or more"),
        (changed(0, config={"evaluator": "proxy"}), "an evaluator has a name and settings, got 'proxy'"),
        (changed(0, config={"a": NESTED}), "nested deeper than 40 levels"),
        (changed(1, trials=NESTED), "proposed: TypeError"),
        (changed(0, versions={"python": 3}), "expected text, got '3'"),
        ([{"event": "surprise"}], "line 1: not an event of a run: unknown event 'surprise'"),
        ([{}], "unknown event 'None'"),
    ],
)
def test_what_cannot_be_is_one_line(events: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        fold(events, "j")
    assert str(caught.value).startswith("j, line ")
    assert message in str(caught.value)


def test_tokens_are_held_to_the_space() -> None:
    history = fold(EVENTS, "j")
    history.check_tokens(SearchSpace.load("efficientnet").decisions)
    with pytest.raises(InputError, match="trial 0 is not a proposal of this space"):
        history.check_tokens(SearchSpace.load("accel-nasbench").decisions)


def test_after_an_error_what_stands_before_is_kept() -> None:
    history = History()
    with pytest.raises(InputError):
        fold(changed(12, trial=0), "j", into=history)
    assert len(history.finished) == 8


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=6
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, item in items for path in paths(item, (*prefix, key)))]


PLACES = [(i, path) for i, event in enumerate(EVENTS[:12]) for path in paths(event) if path]


@given(st.sampled_from(PLACES), VALUES)
def test_any_wrong_value_is_read_or_one_line(place: tuple[int, tuple[Any, ...]], value: Any) -> None:
    index, path = place
    events = json.loads(json.dumps(EVENTS[:12]))
    inside = events[index]
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    try:
        fold(events, "j").check_tokens(SearchSpace.load("efficientnet").decisions)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an error is one of two right answers


def test_lists_of_the_header_may_become_longer() -> None:
    history = fold(EVENTS[:1], "j")
    history.add({"event": "extended", "ratios": [2, 4.0], "controller": "mine"})
    assert history.config["ratios"] == [2, 4.0]
    assert history.config["controller"]["name"] == "reinforce"  # nothing else changes by this
    for wrong in ("2", [None], 3, [1e999], {"a": 1}):
        with pytest.raises(InputError, match="not an event of a run"):
            history.add({"event": "extended", "check_phi": wrong})
    assert "check_phi" not in history.config
