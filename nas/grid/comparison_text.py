"""What a person reads of a study of ways of scaling: the networks before, the result after, as texts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas.grid.comparison import AtCost, Findings, points, verdict
from nas.grid.config import GridConfig
from nas.grid.text import Part, plain_table
from nas.grid.ways import Comparison
from search_space.cost import count
from search_space.io.amounts import format_amount


def describe_ways(compared: Comparison, settings: GridConfig, trained_as: str) -> list[Part]:
    """The networks with their true costs, and how many trainings follow.

    Args:
        compared: The study's networks.
        settings: Its config.
        trained_as: What the evaluator trains in their place, in words.
    """
    table = plain_table("network", "layers", "pixels", "MACs", "parameters", "ratio", "made up by")
    for scaled in compared.candidates:
        network, cost = scaled.architecture, count(scaled.architecture)
        sizes = (str(sum(stage.layers for stage in network.stages)), str(network.resolution))
        amounts = (format_amount(cost.macs), format_amount(cost.params), f"{scaled.ratio:.3f}")
        table.add_row(scaled.name, *sizes, *amounts, scaled.adjusted or "-")
    number = len(compared.candidates)
    trainings = f"{number * settings.repeats} trainings: {number} networks on {settings.repeats} seeds, equal epochs"
    return [table, *spreads(compared, settings.ratios), *([f"Networks are {trained_as}"] * bool(trained_as)), trainings]


def spreads(compared: Comparison, ratios: Sequence[float]) -> list[str]:
    """How far the true costs of the networks that are compared differ, a line a target."""
    lines = []
    for ratio in ratios:
        costs = [scaled.ratio for scaled in compared.at(ratio).values()]
        away = max(costs) / min(costs) - 1
        lines.append(f"At {ratio:g} times the baseline's cost, true costs are within {away:.1%} of each other")
    return lines


def describe_findings(path: Path, compared: Comparison, settings: GridConfig, found: Findings) -> list[Part]:
    """The accuracies, what can be told apart, and where to find all of it."""
    title = f"\nMean and standard error over {settings.repeats} seeds; difference: the hero's less the other's"
    table = plain_table("network", "ratio", "accuracy", "difference", "95% interval")
    if found.baseline is not None:
        table.add_row(*_row(compared, 0, f"{found.baseline.accuracy}"), "", "")
    for at in found.costs:
        for row in _rows(at, compared):
            table.add_row(*row)
    title = title.replace("the hero's", _hero(found, compared))
    files = f"\nNetworks: {path / 'networks'}\nReport:   {path / 'report.html'}"
    missing = [f"{ratio:g}" for ratio in settings.ratios if ratio not in {at.aim for at in found.costs}]
    left = [f"Not compared, as trainings failed: {', '.join(missing)} times the cost"] if missing else []
    return [title, table, "", *verdict(found, compared), *left, files]


def _hero(found: Findings, compared: Comparison) -> str:
    ways = {compared.candidates[at.hero].way for at in found.costs}
    return f"{ways.pop()}'s" if len(ways) == 1 else "the best's"


def _rows(at: AtCost, compared: Comparison) -> list[list[str]]:
    leads, rows = dict(at.leads), []
    for score in at.scores:
        lead = leads.get(score.candidate)
        difference = "" if lead is None else points(lead).partition(",")[0]
        interval = "" if lead is None else f"{lead.low * 100:+.2f} to {lead.high * 100:+.2f}"
        rows.append([*_row(compared, score.candidate, str(score.accuracy)), difference, interval])
    return rows


def _row(compared: Comparison, number: int, accuracy: str) -> list[str]:
    scaled = compared.candidates[number]
    return [scaled.name, f"{scaled.ratio:.3f}", accuracy]
