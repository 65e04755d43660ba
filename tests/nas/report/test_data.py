from pathlib import Path

import pytest

from controller.random_search import RandomSearch
from nas.report import data as report_data
from nas.report.networks import NetworkTable
from nas.runs.record import load
from search_space.cost import count
from search_space.decision import Tokens
from search_space.io.amounts import format_amount
from tests.runs import make_run


class Stubborn(RandomSearch):
    """Proposes one network again and again."""

    def ask(self, batch: int, count: int) -> list[Tokens]:
        return super().ask(0, 1) * count


def test_columns_hold_every_trial_of_the_journal(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=24, evaluator={"fail_every": 3})
    networks = NetworkTable()
    data = report_data.run_data(load(tmp_path), networks)
    columns = data["trials"]
    assert {len(column) for column in columns.values()} == {24}
    for trial in study.trials:
        i = trial.number
        assert trial.evaluation is not None
        assert columns["accuracy"][i] == (
            None if trial.evaluation.accuracy is None else pytest.approx(trial.evaluation.accuracy, rel=1e-5)
        )
        assert columns["reward"][i] == pytest.approx(trial.reward, rel=1e-5)
        assert columns["status"][i] == trial.evaluation.status
        assert data["reasons"][columns["reason"][i]] == trial.evaluation.reason
        assert columns["key"][i] == trial.key
        frame, macs, params, *stages = networks.networks[columns["network"][i]]
        architecture = study.architecture(trial)
        assert (macs, params) == (trial.macs, trial.params)
        drawn = [tuple(networks.stages[stage][:8]) for stage in stages]
        wanted = [(s.op, s.expand, s.kernel, s.stride, s.channels, s.layers, s.se, s.skip) for s in architecture.stages]
        assert drawn == wanted
        assert networks.frames[frame][4] == architecture.activation


def test_the_known_network_is_there_even_where_it_was_not_evaluated(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, stop_after=3)
    (b0,) = report_data.run_data(load(tmp_path), NetworkTable())["references"]
    assert (b0["name"], b0["accuracy"], b0["status"], b0["macs"]) == (
        "efficientnet-b0",
        None,
        "not evaluated",
        385_814_752,
    )


def test_tiles_show_the_best_beside_b0(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=8)
    best, b0 = study.best, study.references["efficientnet-b0"]
    assert best is not None
    assert best.evaluation is not None
    tiles = {tile["label"]: (tile["value"], tile["beside"]) for tile in report_data.run_texts(load(tmp_path))["tiles"]}
    assert tiles["Accuracy"] == (f"{best.evaluation.accuracy:.2%}", f"B0 {b0.accuracy:.2%}")
    assert tiles["Multiply-adds"] == (format_amount(count(study.architecture(best)).macs), "B0 385.8M")
    assert tiles["Parameters"] == (format_amount(best.params), "B0 5.289M")
    assert tiles["Reward"][0] == f"{best.reward:.4f}"


def test_latency_counts_for_the_known_network_as_for_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.latency.LatencyMeter.measure", lambda self, architecture: 10.0)
    study = make_run(tmp_path, trials=4, objective={"kind": "soft", "target_latency_ms": 20.0})
    known = study.references["efficientnet-b0"].accuracy
    assert known is not None
    factor = (385_814_752 / 400_000_000 * 10 / 20) ** -0.07
    (b0,) = report_data.run_data(load(tmp_path), NetworkTable())["references"]
    assert b0["reward"] == pytest.approx(known * factor)


def test_a_repeat_of_a_failed_network_is_no_second_failure(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=4, evaluator={"fail_every": 1}, controller="tests.nas.report.test_data:Stubborn")
    assert [trial.repeat_of for trial in study.trials] == [None, 0, 0, 0]
    assert dict(report_data.run_texts(load(tmp_path))["facts"])["Trials"] == "4 of 4: 1 trained, 1 failed"


def test_facts_say_what_was_asked(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, evaluator={"fail_every": 2}, band=None)
    facts = dict(report_data.run_texts(load(tmp_path))["facts"])
    assert facts["Target"] == "400M multiply-adds"
    assert facts["Objective"] == "soft, w = -0.07"
    assert facts["Search space"] == "efficientnet"
    assert facts["MACs searched"] == "no limit"
    assert facts["Controller"] == "random (default)"
    assert facts["Trials"].startswith("8 of 8: 8 trained, ")


def test_failures_only_are_told(tmp_path: Path) -> None:
    make_run(tmp_path, trials=5, evaluator={"fail_every": 1})
    texts = report_data.run_texts(load(tmp_path))
    assert texts["tiles"] == []
    (notice,) = texts["notices"]
    assert notice == (
        "No network could be evaluated: all 5 failed, the first failed: RuntimeError: this network always fails"
    )


def test_states_in_words(tmp_path: Path) -> None:
    make_run(tmp_path, trials=24, stop_after=10)
    assert report_data.run_texts(load(tmp_path))["state_text"] == "stopped after 10 of 24 trials"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "journal.jsonl").touch()
    assert report_data.run_texts(load(tmp_path / "new"))["state_text"] == "nothing was recorded yet"


def test_beliefs_in_words(tmp_path: Path) -> None:
    make_run(tmp_path, trials=16)
    text = report_data.run_data(load(tmp_path), NetworkTable())["beliefs_text"]
    assert text.startswith("After 4 batches ")
    assert text.endswith("In the last batch 0% of the networks were repeats.")


def test_comparison_has_a_row_a_run(tmp_path: Path) -> None:
    make_run(tmp_path / "one", trials=8)
    make_run(tmp_path / "two", trials=4, evaluator={"fail_every": 1})
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "journal.jsonl").touch()
    table = report_data.comparison([load(tmp_path / name) for name in ("one", "two", "three")])
    rows = {row[0]: dict(zip(table["columns"], row[1:], strict=True)) for row in table["rows"]}
    assert (rows["one"]["Trials"], rows["one"]["Failed"], rows["one"]["Controller"]) == ("8", "0", "random")
    assert (rows["two"]["Failed"], rows["two"]["Accuracy"]) == ("4", "-")
    assert rows["three"]["State"] == "empty"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (18_720, "5 h 12 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report_data.duration(seconds) == text
