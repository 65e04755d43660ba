"""A training as one HTML page: its curves, what it confuses, where it is sure and wrong, and where it looks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.report.charts import rounded
from nas.report.facts import duration
from nas.report.page import CHARTS, html
from nas.statistics import at_chance
from search_space.io.amounts import format_amount
from search_space.io.files import write_atomic

MOST_CLASSES = 40
"""Classes that the matrix shows; of more, those that are most often taken for others."""
MOST_PAIRS = 12
"""Pairs of classes that are named beside it."""
PAGE = "report.html"


def write(folder: Path, metrics: Mapping[str, Any], inside: Mapping[str, Any]) -> None:
    """Write ``report.html`` into the folder of a finished training.

    Args:
        folder: Of the training.
        metrics: Its metrics.json.
        inside: What the network does with held-out images, as `nas.training.inside.look` says it.
    """
    write_atomic(folder / PAGE, render(folder, metrics, inside))


def render(folder: Path, metrics: Mapping[str, Any], inside: Mapping[str, Any]) -> str:
    """The page, as `write` writes it."""
    history, classes = metrics["history"], metrics["classes"]
    chosen = _most_confused(inside["confusion"])
    curves = ("epoch", "loss", "validation_loss", "validation_accuracy")
    data = {
        "curves": {name: [rounded(float(row[name])) for row in history] for name in curves},
        "matrix": {
            "names": [classes[number] for number in chosen],
            "rows": [_shares(inside["confusion"][number], chosen) for number in chosen],
        },
    }
    named = {kind: [_named(row, classes) for row in inside[kind]] for kind in ("wrong", "maps")}
    best = max(row["validation_accuracy"] for row in history)
    return html(
        "training.html",
        (*CHARTS, "training.js"),
        f"Training of {folder.name}",
        data,
        name=folder.resolve().name,
        heading=_heading(metrics),
        guess=at_chance([metrics["validation_accuracy"]], metrics),
        facts=_facts(metrics, best),
        commands=_commands(folder),
        pairs=_pairs(inside["confusion"], classes),
        hidden=len(classes) - len(chosen),
        side=inside["side"],
        wrong=named["wrong"],
        maps=named["maps"],
    )


def _heading(metrics: Mapping[str, Any]) -> str:
    test = metrics["test_accuracy"]
    first = f"{metrics['validation_accuracy']:.2%} on held-out images"
    return first if test is None else f"{first}, {test:.2%} on test images"


def _facts(metrics: Mapping[str, Any], best: float) -> list[tuple[str, str]]:
    top5 = [metrics.get(f"{part}_top5_accuracy") for part in ("validation", "test")]
    known = [f"{value:.2%}" for value in top5 if value is not None]
    return [
        ("Multiply-adds", format_amount(metrics["macs"])),
        ("Parameters", format_amount(metrics["params"])),
        ("Data", f"{metrics['data']}, {len(metrics['classes'])} classes"),
        ("Held-out images", str(metrics.get("validation_images", "-"))),
        ("Best epoch", f"{best:.2%} held out, of {len(metrics['history'])} epochs"),
        *([("Top-5 (held out, test)", ", ".join(known))] if known else []),
        ("Time", duration(metrics["seconds"])),
        ("Seed", str(metrics["seed"])),
    ]


def _commands(folder: Path) -> list[tuple[str, str]]:
    network, weights = (shlex.quote(str(folder / name)) for name in ("network.yaml", "network.safetensors"))
    return [("Export it to PyTorch", f"nas-export {network} --weights {weights} --to torch -o out")]


def _most_confused(confusion: Sequence[Sequence[int]]) -> list[int]:
    """Numbers of the classes that the matrix shows, in their order."""
    missed = sorted(range(len(confusion)), key=lambda c: (confusion[c][c] - sum(confusion[c]), c))
    return sorted(missed[:MOST_CLASSES])


def _shares(row: Sequence[int], chosen: Sequence[int]) -> list[float | None]:
    """Where the images of a class went, as shares; None where it has no image."""
    total = sum(row)
    return [rounded(row[number] / total) if total else None for number in chosen]


def _pairs(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """The most frequent mistakes: truth, guess, how many, and of how many."""
    found = [
        (count, truth, guess)
        for truth, row in enumerate(confusion)
        for guess, count in enumerate(row)
        if count and truth != guess
    ]
    worst = sorted(found, key=lambda pair: (-pair[0], pair[1:]))[:MOST_PAIRS]
    return [(classes[truth], classes[guess], str(count), str(sum(confusion[truth]))) for count, truth, guess in worst]


def _named(row: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    return {**row, "truth": classes[row["truth"]], "guess": classes[row["guess"]], "sure": f"{row['sure']:.0%}"}
