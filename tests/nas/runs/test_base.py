from __future__ import annotations

from pathlib import Path

import pytest

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
