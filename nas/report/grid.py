"""The report of a grid search: accuracy over true cost of the networks compared, and the family that comes of it."""

from __future__ import annotations

from typing import Any

from controller.halving import CANDIDATE, FIDELITY
from nas.grid.config import GridConfig
from nas.grid.enumeration import Grid
from nas.grid.result import GridResult, compare_finalists, family, paper_candidate
from nas.history import Trial
from nas.report.charts import rounded
from nas.runs.record import RunRecord
from nas.statistics import mean_of
from search_space.cost import count
from search_space.errors import NasError
from search_space.io.amounts import format_amount


def grid_points(run: RunRecord) -> list[dict[str, Any]]:
    """For each candidate and each length of training: true cost, mean accuracy and its standard error over seeds."""
    settings, grid = _grid(run)
    groups: dict[tuple[int, int], list[Trial]] = {}
    for trial in run.trials:
        if trial.ok:
            groups.setdefault((trial.tokens[FIDELITY], trial.tokens[CANDIDATE]), []).append(trial)
    points = []
    for (rung, number), trials in sorted(groups.items()):
        accuracies = [t.evaluation.accuracy for t in trials if t.evaluation and t.evaluation.accuracy is not None]
        mean = mean_of(accuracies) if len(accuracies) > 1 else None
        points.append(
            {
                "rung": rung,
                "last": rung == len(settings.rungs) - 1,
                "fidelity": settings.rungs[rung],
                "name": str(grid.candidates[number].coefficients),
                "ratio": rounded(grid.candidates[number].ratio),
                "accuracy": rounded(mean.mean if mean else accuracies[0]),
                "error": rounded(mean.standard_error) if mean else None,
                "seeds": len(accuracies),
                "trial": trials[0].number,
            }
        )
    return points


def outcome(run: RunRecord) -> GridResult | None:
    """What came of a finished grid; None before the end, or where nothing did."""
    settings, grid = _grid(run)
    if run.state != "finished":
        return None
    try:
        return compare_finalists(run.trials, settings, paper_candidate(grid, settings), run.history.described)
    except NasError:
        return None


def family_table(run: RunRecord) -> dict[str, Any]:
    """The winner and the members of its family, as text."""
    settings, grid = _grid(run)
    target = f"{settings.bounds.target:.4g} times the baseline {settings.name}"
    lead = f"{len(grid.triples)} triples build {len(grid.networks)} distinct networks; {len(grid.candidates)} are"
    lead += f" compared, for networks of {target} at phi {settings.phi:g}."
    found = outcome(run)
    if found is None:
        return {"text": f"{lead} No triple has won.", "columns": [], "rows": []}
    triple, rows = found.coefficients(grid), []
    for phi, member in enumerate(family(settings, triple)):
        cost = count(member)
        factors = (f"{triple.alpha**phi:.2f}", f"{triple.beta**phi:.2f}", member.resolution)
        rows.append([str(cell) for cell in (phi, *factors, format_amount(cost.macs), format_amount(cost.params))])
    columns = ["phi", "Depth", "Width", "Resolution", "MACs", "Parameters"]
    verdict = f"The winner is alpha / beta / gamma = {triple}."
    if found.keeps_paper:
        verdict = f"The paper's alpha / beta / gamma = {triple} are kept, since {found.keeps_paper}."
    return {"text": f"{lead} {verdict}", "columns": columns, "rows": rows}


def grid_facts(run: RunRecord) -> list[tuple[str, str]]:
    """What was asked of a grid."""
    settings, _ = _grid(run)
    return [
        ("Baseline", settings.name),
        ("Target", f"{settings.bounds.target:.4g} times its multiply-adds"),
        ("Constraint", settings.constraint),
        ("Lengths of training", ", ".join(f"{rung}x" for rung in settings.rungs)),
        ("Finalists and seeds", f"{settings.finalists}, {settings.repeats}"),
    ]


def _grid(run: RunRecord) -> tuple[GridConfig, Grid]:
    assert run.grid is not None, "only a grid's record is given here"
    return run.grid
