"""The final of a search on its page: who won among the networks that were trained in full, and by how much."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from nas.config import SearchConfig
from nas.history import Final
from nas.runs.directory import FINAL_TRAINED
from nas.runs.header import training_flags
from nas.runs.record import RunRecord
from nas.statistics import Difference, leads, mean_of
from search_space.cost import count
from search_space.io.amounts import format_amount


def title(final: Final) -> str:
    """The answer in one line."""
    winner = final.finalists[0]
    accuracy, macs = mean_of(winner.accuracies).mean, format_amount(count(winner.network).macs)
    ahead = f"the first of {len(final.finalists)} trained in full"
    return f"{accuracy:.2%} with {macs} multiply-adds: {winner.name}, {ahead}"


def table(final: Final) -> dict[str, Any]:
    """The networks, the winner first: mean accuracy and its standard error over seeds, cost, what they lack."""
    ahead_of: list[Difference | None] = [None, *leads([finalist.accuracies for finalist in final.finalists])]
    rows = []
    for finalist, lead in zip(final.finalists, ahead_of, strict=True):
        cost, mean = count(finalist.network), mean_of(finalist.accuracies)
        accuracy = f"{mean.mean:.2%} ± {100 * mean.standard_error:.2f}"
        ahead = "–" if lead is None else f"{100 * lead.mean:+.2f} [{100 * lead.low:+.2f}, {100 * lead.high:+.2f}]"  # noqa: RUF001 - a dash, as in the page's tables
        rows.append([finalist.name, accuracy, format_amount(cost.macs), ahead, format_amount(cost.params)])
    return {"columns": ["Network", "Accuracy", "MACs", "Winner ahead by", "Params"], "rows": rows}


def note(run: RunRecord, final: Final) -> str:
    """How they were trained, and what the figures are."""
    seeds, networks = len(final.finalists[0].accuracies), len(final.finalists)
    longer = f"{run.settings.final_longer} times longer " if isinstance(run.settings, SearchConfig) else ""
    pairs = networks * (networks - 1) // 2
    return (
        f"Highest reward first; trained {longer}than in the search, on the same {seeds} seeds: mean accuracy ± "
        f"standard error; points of accuracy with 95 % intervals that hold for all {pairs} pairs at once."
    )


def weights(run: RunRecord, final: Final) -> Path | None:
    """The winner's weights, where they were kept."""
    file = run.path / FINAL_TRAINED / final.finalists[0].network.key / "network.safetensors"
    return file if file.is_file() else None


def commands(run: RunRecord, final: Final) -> list[tuple[str, str]]:
    """What to do with the winner, which best.yaml holds."""
    network, kept = shlex.quote(str(run.path / "best.yaml")), weights(run, final)
    with_weights = f" --weights {shlex.quote(str(kept))}" if kept else ""
    return [
        ("Train it longer", f"nas-train {network}{training_flags(run.config)}"),
        ("Export it to PyTorch", f"nas-export {network}{with_weights} --to torch"),
        ("Scale it up", f"nas-scale {network} --phi 3 -o larger.yaml"),
    ]
