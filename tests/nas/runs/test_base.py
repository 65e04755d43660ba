from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.base import Evaluation
from nas.history import Trial
from nas.runs.base import measured
from nas.runs.record import load
from search_space.errors import NasError
from tests.runs import make_run


def test_a_run_has_trials_a_best_and_its_network(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=12, stop_after=9)
    run = load(tmp_path)
    assert len(run.finished) == 9
    assert run.best_trial == study.best
    assert run.best_architecture is not None
    assert run.best_architecture.key == run.best_trial.key  # type: ignore[union-attr]


def test_a_data_frame_has_the_columns_of_the_csv(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    make_run(tmp_path, trials=12)
    run = load(tmp_path)
    frame = run.trials_dataframe()
    assert list(frame.columns) == (tmp_path / "trials.csv").read_text().splitlines()[0].split(",")
    assert frame["reward"].max() == run.best_trial.reward  # type: ignore[union-attr]


def test_without_a_space_no_network_is_built(tmp_path: Path) -> None:
    make_run(tmp_path, trials=2)
    run = load(tmp_path)
    run.space = None
    with pytest.raises(NasError, match="its networks cannot be built, since its space is not at hand"):
        run.architecture(run.trials[0])


def test_the_first_measurement_of_each_network_counts() -> None:
    good = Evaluation(status="ok", accuracy=0.5)

    def trial(number: int, key: str, evaluation: Evaluation | None = good, repeat_of: int | None = None) -> Trial:
        return Trial(
            number=number,
            tokens=(0,),
            key=key,
            macs=1,
            params=1,
            evaluation=evaluation,
            reward=0.5,
            repeat_of=repeat_of,
        )

    failed = Evaluation(status="failed", reason="no")
    trials = [
        trial(0, "a"),
        trial(1, "b", failed),
        trial(2, "a"),
        trial(3, "c", None),
        trial(4, "d"),
        trial(5, "d", good, 4),
    ]
    assert [found.number for found in measured(trials)] == [0, 4]
