from __future__ import annotations

from pathlib import Path

import pytest

from nas.engines.local import LocalEngine
from nas.grid import config as grid_config
from nas.runs.grid import GridRun
from search_space.architecture import Architecture
from search_space.errors import NasError
from tests.toys import ToyConfig, ToyEvaluator

B0 = Architecture.load("efficientnet-b0")


def test_a_grid_leaves_its_files_and_goes_on_from_them(tmp_path: Path) -> None:
    small = {"step": 0.1, "rungs": [1, 2], "finalists": 1, "repeats": 2, "family": 2}
    settings = grid_config.resolve([{"name": "b0", "baseline": B0, "evaluator": "tests.toys:ToyEvaluator", **small}])
    engine = LocalEngine(ToyEvaluator(ToyConfig()))
    with GridRun(tmp_path / "run", settings) as run:
        assert run.time_baseline(engine).status == "ok"
        for trial in run.run(engine):
            if trial.number == 2:
                break
        with pytest.raises(NasError, match="no network was trained on all 2 seeds"):
            run.conclude()
    with GridRun(tmp_path / "run", settings) as again:
        assert len(again.finished) == 3
        assert list(again.run(engine))
        found = again.conclude()
    assert again.family[0] == B0
    assert len(list((tmp_path / "run" / "family").iterdir())) == len(again.family) == 3
    assert found.scores[0].candidate == found.best
    assert (tmp_path / "run" / "coefficients.yaml").is_file()
