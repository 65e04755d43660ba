"""Runs for tests of what reads them, made by the real study with an evaluator that costs nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from nas import config
from nas.commands.search import load_space
from nas.engines.local import LocalEngine
from nas.problem import make_problem
from nas.runs import directory as run_dir
from nas.runs.directory import REFERENCE
from nas.study import Study
from search_space.architecture import Architecture


def make_run(path: Path, *, trials: int = 24, stop_after: int | None = None, **settings: Any) -> Study:
    """Search with the toy evaluator and export as `nas-search` does, short of the report.

    Args:
        path: The run's directory.
        trials: How many to propose.
        stop_after: End after this many finished trials, as an interrupted run does.
        settings: Further settings of the search.
    """
    base = {"target_flops": "400M", "controller": "random", "evaluator": "tests.toys:ToyEvaluator", "trials": trials}
    resolved = config.resolve([base, settings])
    space = load_space(resolved)
    controller, controller_config = config.make("controller", resolved.controller)
    evaluator, evaluator_config = config.make("evaluator", resolved.evaluator)
    engine = LocalEngine(evaluator(evaluator_config))
    # Thousands of trials need not survive a power cut.
    with mock.patch.object(os, "fsync"), run_dir.open_journal(path, resolved) as journal:
        study = Study(
            space=space,
            objective=resolved.objective,
            controller=controller(make_problem(space, resolved.objective, resolved.band), controller_config, 0),
            journal=journal,
            num_trials=trials,
            batch_size=resolved.batch,
            seed=resolved.seed,
        )
        for count, _ in enumerate(study.run(engine), 1):
            if count == stop_after:
                break
        else:
            study.evaluate_reference(REFERENCE, Architecture.load(REFERENCE), engine)
    return study


def trainings(path: Path) -> int:
    """How many evaluations a run's journal says are finished, while another process writes it."""
    journal = path / "journal.jsonl"
    return journal.read_bytes().count(b'"event":"finished"') if journal.exists() else 0
