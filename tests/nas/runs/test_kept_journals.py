"""Journals that version 0.1 wrote: they are read, gone on with, and written again the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.commands import grid, search
from nas.history import fold
from nas.journal import read
from nas.runs.record import load

KEPT = Path(__file__).parent / "journals"
ALL = sorted(path.name for path in KEPT.iterdir())
EXACT = ("evolution", "ppo-absolute", "random", "reinforce")
"""Whose continuation is the same to the digit on every machine: no training, no model whose rounding matters."""


def copy(name: str, to: Path, lines: int | None = None) -> Path:
    """A run's directory with the first lines of a kept journal."""
    to.mkdir()
    whole = (KEPT / name / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (to / "journal.jsonl").write_bytes(b"".join(whole[:lines]))
    return to


def without_times(path: Path) -> list[dict[str, Any]]:
    rows = list(read(path / "journal.jsonl"))[1:]
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    return rows


@pytest.mark.parametrize("name", ALL)
def test_a_kept_journal_is_read(name: str) -> None:
    record = load(KEPT / name)
    assert (record.state, record.notices) == ("finished", [])
    assert record.best_trial is not None
    assert record.space is not None
    assert record.space.decode(record.best_trial.tokens).key == record.best_trial.key


@pytest.mark.parametrize("name", [name for name in ALL if name != "async"])
def test_a_kept_run_is_gone_on_with_from_its_middle(name: str, tmp_path: Path) -> None:
    path = KEPT / name / "journal.jsonl"
    lines = path.read_bytes().count(b"\n")
    run = copy(name, tmp_path / "run", lines // 2)
    command = grid if name == "grid" else search
    flags = [] if name == "grid" else ["--trust", "0%"]
    assert command.main(["--run-dir", str(run), "--resume", "--trust-code", "--quiet", *flags]) == 0
    if name in EXACT:
        assert renamed(without_times(run)) == renamed(without_times(KEPT / name))
    assert without_times(run)[: lines // 2 - 1] == without_times(KEPT / name)[: lines // 2 - 1]
    assert len(load(run).finished) == len(load(KEPT / name).finished)


def renamed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Signals by the names they have today."""
    return json.loads(json.dumps(events).replace('"stalled"', '"trials_since_improvement"'))  # type: ignore[no-any-return]


def test_an_asynchronous_run_goes_on(tmp_path: Path) -> None:
    run = copy("async", tmp_path / "run", 20)
    assert search.main(["--run-dir", str(run), "--resume", "--trust-code", "--quiet", "--trust", "0%"]) == 0
    assert len(fold(read(run / "journal.jsonl"), run).finished) == 24
