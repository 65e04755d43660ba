"""What a benchmark of controllers shows: a table and a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from nas.bench.run import Run

MARKS = (50, 100, 200, 500, 1000, 1500)
SHARES = (0.99, 0.999)
NEVER = "-"


def table(runs: Sequence[Run], best_known: float, reference: float | None) -> list[list[str]]:
    """A header and a row for each controller.

    Best-so-far cells are mean +- standard deviation over seeds; evaluations to reach a reward are the median over all
    seeds and, where not all reach it, the number that do.

    Args:
        runs: All runs, each controller's together.
        best_known: The best true reward found by anything.
        reference: True reward of EfficientNet-B0; None, where the benchmark does not know it, leaves its columns out.
    """
    trials = max(len(run.best) for run in runs)
    marks = [mark for mark in MARKS if mark < trials] + [trials]
    goals = {f"to {100 * share:g} %": share * best_known for share in SHARES}
    if reference is not None:
        goals = {"to B0": reference, **goals}
    beats = ["beats B0 by"] if reference is not None else []
    rows = [["controller", *map(str, marks), *goals, *beats, "s/trial"]]
    for name in dict.fromkeys(run.controller for run in runs):
        own = [run for run in runs if run.controller == name]
        row = [name]
        for mark in marks:
            values = [run.best[min(mark, len(run.best)) - 1] for run in own]
            row.append(f"{np.mean(values):.4f} +-{np.std(values, ddof=min(1, len(values) - 1)):.4f}")
        row += [_to_reach([first(run.best, goal) for run in own]) for goal in goals.values()]
        row += [_to_reach([run.beats_reference_at for run in own], worst=True) for _ in beats]
        rows.append([*row, f"{np.mean([run.seconds_per_trial for run in own]):.4f}"])
    return rows


def first(best: Sequence[float], goal: float) -> int | None:
    """Evaluations until the incumbent has at least `goal`; None for never."""
    return next((count for count, reward in enumerate(best, 1) if reward >= goal), None)


def _to_reach(counts: Sequence[int | None], *, worst: bool = False) -> str:
    reached = sorted(count for count in counts if count is not None)
    order = [*map(str, reached), *[NEVER] * (len(counts) - len(reached))]
    text = order[-1] if worst else order[(len(order) - 1) // 2]
    return text if len(reached) == len(counts) else f"{text} ({len(reached)}/{len(counts)})"


def text(rows: Sequence[Sequence[str]]) -> str:
    """The table for people, as Markdown."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def to_csv(runs: Sequence[Run]) -> str:
    """Every run's best-so-far after every trial."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["controller", "seed", "trial", "best_reward"])
    for run in runs:
        writer.writerows((run.controller, run.seed, trial, f"{reward:.6f}") for trial, reward in enumerate(run.best, 1))
    return file.getvalue()
