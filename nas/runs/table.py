"""Trials as a table: what was proposed, one column a decision, and what came of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from nas.history import Trial
from nas.study import evaluation_seed, measurement_of
from search_space.decision import Space

RESULT = ("trial", "reward", "accuracy", "macs", "params", "status", "reason", "seconds", "latency_ms", "seed")
IDENTITY = ("repeat_of", "key", "curve", "losses")


def of_trials(trials: Sequence[Trial], space: Space | None, seed: int) -> tuple[list[str], list[list[Any]]]:
    """Column names, and one row a finished trial.

    Args:
        trials: By number.
        space: Names the columns of the decisions; None leaves these out. A decision that did not apply is None.
        seed: The run's.
    """
    decisions = space.decisions if space else ()
    taken = {*RESULT, *IDENTITY}
    names = [f"decision.{d.name}" if d.name in taken else d.name for d in decisions]
    rows = []
    for trial in trials:
        if (found := trial.evaluation) is None:
            continue
        result = [trial.number, trial.reward, found.accuracy, trial.macs, trial.params, found.status, found.reason]
        result += [round(found.seconds, 3), found.latency_ms]
        how = measurement_of(space, trial.tokens) if space else None
        result.append(evaluation_seed(seed, trial.number, how) if trial.repeat_of is None else None)
        identity = [trial.repeat_of, trial.key, list(found.curve), list(found.losses)]
        chosen = [
            decision.choices[token] if decision.applies(trial.tokens) else None
            for decision, token in zip(decisions, trial.tokens, strict=False)
        ]
        rows.append([*result, *identity, *chosen])
    return [*RESULT, *IDENTITY, *names], rows


def to_csv(table: tuple[list[str], list[list[Any]]]) -> str:
    """A table as CSV; lists as JSON, what is None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names, rows = table
    writer.writerow(names)
    writer.writerows([json.dumps(cell) if isinstance(cell, list) else cell for cell in row] for row in rows)
    return text.getvalue()
