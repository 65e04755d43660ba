from __future__ import annotations

import csv
from pathlib import Path

import pytest

from nas.engines.local import LocalEngine
from nas.grid.ways import WAYS
from nas.runs.comparison import COLUMNS, ComparisonRun
from search_space.architecture import Architecture
from search_space.errors import NasError
from search_space.seeding import derive_seed
from tests.nas.grid.test_comparison import COMPARED, settings
from tests.toys import SteadyEvaluator, ToyConfig


def test_a_study_trains_all_networks_on_the_same_seeds_and_leaves_its_files(tmp_path: Path) -> None:
    own, seeds = settings(), []

    class Watched(SteadyEvaluator):
        def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1):  # type: ignore[no-untyped-def]
            seeds.append((architecture.key, seed, fidelity))
            return super().evaluate(architecture, seed, fidelity)

    engine = LocalEngine(Watched(ToyConfig()))
    with ComparisonRun(tmp_path / "run", own) as run:
        assert run.trainings == [15, 12]
        for trial in run.run(engine):
            if trial.number == 3:
                break
        with pytest.raises(NasError, match="no two ways were trained"):
            run.conclude()
    with ComparisonRun(tmp_path / "run", own) as run:
        list(run.run(engine))
        found = run.conclude()
    assert [at.aim for at in found.costs] == [2, 4]
    paired = {derive_seed(0, "repeat", repeat) for repeat in (1, 2, 3)}
    for scaled in COMPARED.candidates:
        mine = [(seed, fidelity) for key, seed, fidelity in seeds if key == scaled.architecture.key]
        assert {seed for seed, _ in mine} == paired
        assert {fidelity for _, fidelity in mine} == {1}
        written = Architecture.load(tmp_path / "run" / "networks" / f"{scaled.name}.yaml")
        assert written == scaled.architecture
    with open(tmp_path / "run" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 27
    first = {(row["way"], row["target_ratio"]) for row in rows[:15]}
    assert first == {("baseline", "1.0"), *((way, "2.0") for way in WAYS)}  # the larger cost comes after
