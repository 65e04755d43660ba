"""Runs for tests of what reads them, made by the real study with an evaluator that costs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from nas import config
from nas.engines.local import LocalEngine
from nas.journal import read
from nas.runs.search import StudyRun
from nas.study import Study
from search_space.architecture import Architecture


def make_run(
    path: Path,
    *,
    trials: int = 24,
    stop_after: int | None = None,
    shared_loss: Callable[[Architecture], float] | None = None,
    **settings: Any,
) -> Study:
    """Search with the toy evaluator and export as `nas-search` does, short of the report.

    Args:
        path: The run's directory.
        trials: How many to propose.
        stop_after: End after this many finished trials, as an interrupted run does.
        shared_loss: What shared weights say of a network.
        settings: Further settings of the search.
    """
    base = {"target_flops": "400M", "controller": "random", "evaluator": "tests.toys:ToyEvaluator", "trials": trials}
    resolved = config.resolve([base, settings])
    cls, evaluator_config = config.make("evaluator", resolved.evaluator)
    # Thousands of trials need not survive a power cut.
    with mock.patch.object(os, "fsync"), StudyRun(path, resolved) as run:
        run.study.shared_loss = shared_loss
        for count, _ in enumerate(run.run(LocalEngine(cls(evaluator_config))), 1):
            if count == stop_after:
                break
    return run.study


def trainings(path: Path) -> int:
    """How many evaluations a run's journal says are finished, while another process writes it."""
    journal = path / "journal.jsonl"
    return journal.read_bytes().count(b'"event":"finished"') if journal.exists() else 0


def events(run: Path) -> list[dict[str, Any]]:
    """What a journal says, trials of a batch and references in order whichever finished first, times aside."""
    rows = list(read(run / "journal.jsonl"))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    place = 0
    keyed = []
    for row in rows:
        place += row["event"] not in ("finished", "reference")
        keyed.append((place, row.get("trial", -1), row.get("name", ""), row))
    return [row for *_, row in sorted(keyed, key=lambda item: item[:3])]
