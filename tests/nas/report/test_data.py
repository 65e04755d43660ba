from pathlib import Path

import pytest

from nas.report import data as report_data
from nas.report.networks import NetworkTable
from nas.runs.record import load
from tests.runs import make_run


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


def test_latency_counts_for_the_known_network_as_for_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.device.latency.LatencyMeter.measure", lambda self, architecture: 10.0)
    study = make_run(tmp_path, trials=4, objective={"kind": "soft", "target_latency_ms": 20.0})
    known = study.references["efficientnet-b0"].accuracy
    assert known is not None
    factor = (385_814_752 / 400_000_000 * 10 / 20) ** -0.07
    (b0,) = report_data.run_data(load(tmp_path), NetworkTable())["references"]
    assert b0["reward"] == pytest.approx(known * factor)


def test_what_the_controller_said_is_told_as_what_it_is(tmp_path: Path) -> None:
    make_run(tmp_path, trials=16)
    text = report_data.run_data(load(tmp_path), NetworkTable())["beliefs_text"]
    assert text.startswith("The last column shows the last batch: nothing is learned. It gives one choice at least 90%")
    assert text.endswith("In the last batch 0% of the networks were repeats.")


def test_tokens_batches_and_curves_are_the_journals(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=12, batch=4, evaluator={"fail_every": 3})
    data = report_data.run_data(load(tmp_path), NetworkTable())
    assert [tuple(tokens) for tokens in data["trials"]["tokens"]] == [t.tokens for t in study.trials]
    assert data["trials"]["batch"] == [0] * 4 + [1] * 4 + [2] * 4
    assert data["shown_batches"] == [[0, 0], [1, 1], [2, 2]]
    curves = [t.evaluation.curve for t in study.trials if t.evaluation]
    assert data["trials"]["curve"] == [[pytest.approx(a, abs=1e-4) for a in curve] for curve in curves]
    names = [decision["name"] for decision in data["decisions"]]
    assert names == [decision.name for decision in study.space.decisions]


def test_rewards_of_different_settings_have_different_scales(tmp_path: Path) -> None:
    for name, settings in {"one": {}, "two": {"seed": 5}, "three": {"target_flops": "300M"}}.items():
        make_run(tmp_path / name, trials=4, **settings)
    one, two, three = (
        report_data.run_data(load(tmp_path / name), NetworkTable())["scale"] for name in ("one", "two", "three")
    )
    assert one == two != three
