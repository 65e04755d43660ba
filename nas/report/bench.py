"""A benchmark of controllers as one HTML page: the table, and how their best reward grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.bench.run import Run
from nas.report.charts import rounded
from nas.report.page import CHARTS, html
from nas.runs.directory import REFERENCE_NETWORK

MAX_POINTS = 200
"""Of a curve: evaluations evenly spread on the page's logarithmic axis."""
BEGIN = 0.02
"""The share of the evaluations after which something has happened: the axis of rewards begins there."""


def render(
    runs: Sequence[Run], rows: Sequence[Sequence[str]], best_known: float, reference: float | None, lede: str
) -> str:
    """The page.

    Args:
        runs: All runs, each controller's together.
        rows: The table, its header first.
        best_known: The best true reward found by anything.
        reference: True reward of the reference network; None where the benchmark does not know it.
        lede: What was searched, in a sentence.
    """
    curves = [_curve(name, runs) for name in dict.fromkeys(run.controller for run in runs)]
    begin = max(1, int(BEGIN * len(runs[0].best)))
    data: dict[str, Any] = {
        "curves": curves,
        "best": rounded(best_known),
        "known": None if reference is None else rounded(reference),
        "reference": REFERENCE_NETWORK,
        "low": min(y for curve in curves for x, y in zip(curve["x"], curve["mean"], strict=True) if x >= begin),
    }
    seeds = len({run.seed for run in runs})
    title = f"{len(curves)} controllers against each other"
    return html("bench.html", (*CHARTS, "bench.js"), title, data, rows=rows, lede=lede, seeds=seeds)


def _curve(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Mean best-so-far of a controller and one standard deviation around it, over evaluations."""
    best = np.array([run.best for run in runs if run.controller == name])
    x = np.unique(np.geomspace(1, best.shape[1], MAX_POINTS).round()).astype(int)
    mean, spread = best.mean(0)[x - 1], best.std(0)[x - 1]
    lines = {"mean": mean, "low": mean - spread, "high": mean + spread}
    return {"name": name, "x": x.tolist(), **{key: [rounded(y) for y in line] for key, line in lines.items()}}
