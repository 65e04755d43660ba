from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas import config
from nas.engines.local import LocalEngine
from nas.grid.candidates import CandidateSpace
from nas.trust.candidates import missing, planned_study
from search_space.architecture import Architecture
from search_space.errors import InputError, NasError
from tests.toys import SteadyEvaluator, ToyConfig

NETWORKS = [Architecture.load(name) for name in ("efficientnet-b0", "mobilenet-v2")]
SETTINGS = config.resolve([{"target_flops": "400M"}])
PLAN = [(candidate, 0, seed) for seed in (1, 2) for candidate in (0, 1)]


def space(networks: list[Architecture] = NETWORKS) -> CandidateSpace:
    return CandidateSpace("two", networks, (4,), 2)


def test_a_plan_goes_on_where_its_journal_ends(tmp_path: Path) -> None:
    engine = LocalEngine(SteadyEvaluator(ToyConfig()))
    with planned_study(tmp_path, ("trust", "24"), space(), PLAN, SETTINGS) as study:
        trials = study.run(engine)
        next(trials)
        trials.close()  # type: ignore[attr-defined]
    with planned_study(tmp_path, ("trust", "24"), space(), PLAN, SETTINGS) as study:
        assert missing(study, PLAN) == PLAN[1:]
        assert len(list(study.run(engine))) == 3
        assert missing(study, PLAN) == []
        assert study.num_trials == 4
        seconds = [trial.evaluation.seconds for trial in study.trials if trial.evaluation]
    assert seconds == [4.0] * 4
    assert (tmp_path / "trust" / "24" / "journal.jsonl").exists()
    more = [*PLAN, (0, 0, 0)]
    with planned_study(tmp_path, ("trust", "24"), space(), more, SETTINGS) as study:
        assert study.num_trials == 5


def test_other_networks_are_not_mixed_in(tmp_path: Path) -> None:
    with planned_study(tmp_path, ("final", "3"), space(), PLAN, SETTINGS) as study:
        list(study.run(LocalEngine(SteadyEvaluator(ToyConfig()))))
    with (
        pytest.raises(NasError, match=r"final.3.journal\.jsonl: is of other networks; delete its folder"),
        planned_study(tmp_path, ("final", "3"), space(NETWORKS[::-1]), PLAN, SETTINGS),
    ):
        pass


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", tmp_path / "trust")
    with (
        pytest.raises(InputError, match="is a link"),
        planned_study(tmp_path, ("trust", "24"), space(), PLAN, SETTINGS),
    ):
        pass
    assert not list((tmp_path / "outside").iterdir())
