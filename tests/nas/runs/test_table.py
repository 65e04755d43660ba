from __future__ import annotations

import csv
import io
from pathlib import Path

from nas.runs import table
from nas.runs.record import load
from search_space.seeding import derive_seed
from tests.runs import make_run


def test_one_row_a_finished_trial_with_a_column_a_decision(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=24, stop_after=10, evaluator={"fail_every": 3}, space="efficientnet")
    names, rows = table.of_trials(study.trials, study.space, 0)
    assert len(rows) == 10
    assert names[:10] == list(table.RESULT)
    assert names[14:] == [decision.name for decision in study.space.decisions]
    for row, trial in zip(rows, study.trials, strict=False):
        cells = dict(zip(names, row, strict=True))
        assert trial.evaluation is not None
        assert (cells["status"], cells["reason"]) == (trial.evaluation.status, trial.evaluation.reason)
        assert cells["seed"] == derive_seed(0, "evaluation", trial.number)
        assert cells["losses"] == list(trial.evaluation.losses)
        stage = study.architecture(trial).stages[2]
        assert cells["block3.kernel"] == str(stage.kernel)
        assert cells["block3.se"] == (None if stage.op == "conv" else str(stage.se))


def test_without_a_space_there_are_no_decisions(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=3)
    names, rows = table.of_trials(study.trials, None, 0)
    assert names == [*table.RESULT, *table.IDENTITY]
    assert {len(row) for row in rows} == {len(names)}


def test_the_csv_reads_back(tmp_path: Path) -> None:
    make_run(tmp_path, trials=5)
    run = load(tmp_path)
    text = (tmp_path / "trials.csv").read_text()
    assert text == table.to_csv(run.table())
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["reward"]) for row in rows] == [trial.reward for trial in run.trials]
    assert rows[0]["curve"].startswith("[0.")
    assert rows[0]["latency_ms"] == ""
