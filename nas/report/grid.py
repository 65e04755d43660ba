"""The report of a grid search: accuracy over true cost of the networks compared, and the family that comes of it."""

from __future__ import annotations

import shlex
from typing import Any

from controller.halving import CANDIDATE, FIDELITY, REPEAT
from nas.grid.checks import compare_checks, of_grid, phi_of
from nas.grid.coefficients import member_name
from nas.grid.config import GridConfig
from nas.grid.enumeration import Grid
from nas.grid.result import GridResult, compare_finalists, members, paper_candidate
from nas.grid.text import check_lines, unchecked, verdicts
from nas.history import Trial
from nas.report.charts import rounded
from nas.runs.header import training_flags
from nas.runs.record import RunRecord
from nas.statistics import mean_of
from search_space.cost import count
from search_space.errors import NasError
from search_space.io.amounts import format_amount

Table = dict[str, Any]
"""``columns`` and ``rows`` of text."""
FRAME = {
    "title": "The grid and its family",
    "note": "Each point is a network at one length of training, at its true cost; bars are standard errors over seeds. "
    "Only points of the same length compare.",
}


def points(run: RunRecord) -> list[dict[str, Any]]:
    """For each network and each length of training: true cost, mean accuracy and its standard error over seeds.

    Networks of a larger phi, which check the result, follow in groups of their own.
    """
    settings, grid = _grid(run)
    groups: dict[tuple[int, int], list[Trial]] = {}
    for trial in run.trials:
        if trial.ok:
            number, rung, _ = trial.tokens
            groups.setdefault((rung + number // len(grid.candidates), number), []).append(trial)
    points = []
    for (group, number), trials in sorted(groups.items()):
        accuracies = [t.evaluation.accuracy for t in trials if t.evaluation and t.evaluation.accuracy is not None]
        mean = mean_of(accuracies) if len(accuracies) > 1 else None
        last, length = group >= len(settings.rungs) - 1, settings.rungs[trials[0].tokens[FIDELITY]]
        checked = number >= len(grid.candidates)
        where = f"phi {phi_of(number, grid, settings):g}" if checked else f"{length}× the epochs"  # noqa: RUF001
        points.append(
            {
                "group": group,
                "last": last,
                "label": where + (f", {len(accuracies)} seeds" if mean else ""),
                "colour": "--series-3" if checked else "--front" if last else "--late" if group else "--early",
                "name": str(grid.networks_to_train[number].coefficients),
                "ratio": rounded(grid.networks_to_train[number].ratio),
                "accuracy": rounded(mean.mean if mean else accuracies[0]),
                "error": rounded(mean.standard_error) if mean else None,
                "seeds": len(accuracies),
                "trial": trials[0].number,
            }
        )
    return points


def outcome(run: RunRecord) -> GridResult | None:
    """What came of a grid whose last rung is trained; None before, or where nothing did. Larger phis may be left."""
    settings, grid = _grid(run)
    if len(run.signals) < len(settings.rungs):
        return None
    try:
        own = of_grid(run.trials, grid)
        return compare_finalists(own, settings, paper_candidate(grid, settings), run.history.described)
    except NasError:
        return None


def title(run: RunRecord) -> str:
    """The answer in one line."""
    found = outcome(run)
    if found is None:
        return "No triple has won yet" if run.state != "finished" else "No triple has won"
    whose = ", the paper's triple" if found.keeps_paper else ""
    return f"Scale by {found.coefficients(_grid(run)[1])}{whose}"


def lead(run: RunRecord) -> str:
    """What was compared, in a sentence."""
    settings, grid = _grid(run)
    target = f"{settings.bounds.target:.4g} times the baseline {settings.name}"
    count_of = f"{len(grid.triples)} triples build {len(grid.networks)} distinct networks; {len(grid.candidates)} are"
    return f"{count_of} compared, for networks of {target} at phi {settings.phi:g}."


def verdict_lines(run: RunRecord) -> list[str]:
    """Which triple won and whether it can be told from the others, as the terminal says it."""
    found, grid = outcome(run), _grid(run)[1]
    if found is None:
        return ["No triple has won."]
    triple = found.coefficients(grid)
    first = f"The winner is alpha / beta / gamma = {triple}."
    if found.keeps_paper:
        best = grid.candidates[found.best].coefficients
        first = f"The paper's alpha / beta / gamma = {triple} are kept, since {found.keeps_paper} (best: {best})."
    checked = compare_checks(run.trials, grid, _grid(run)[0], found, found.paper)
    lines = [line for check in checked for line in check_lines(check, found)]
    lines += unchecked(_grid(run)[0], checked) if run.state == "finished" else []
    return [first, *verdicts(grid, found), *lines]


def commands(run: RunRecord) -> list[tuple[str, str]]:
    """What a family is for."""
    (settings, grid), found, path = _grid(run), outcome(run), run.path
    if found is None or not (path / "coefficients.yaml").is_file():
        return []
    family = members(settings, found.coefficients(grid))
    name = member_name(settings.name, 1 if 1 in family else 0)
    member, triple = (shlex.quote(str(path / file)) for file in (f"family/{name}.yaml", "coefficients.yaml"))
    return [
        ("Train a member in full", f"nas-train {member}{training_flags(run.config)}"),
        ("Export it to PyTorch", f"nas-export {member} --to torch"),
        ("Scale another network", f"nas-scale NETWORK.yaml --phi 3 --coefficients {triple} -o larger.yaml"),
    ]


def finalists(run: RunRecord) -> Table:
    """The networks of the last rung, best first: triple, mean accuracy and its standard error over seeds, cost."""
    found, grid = outcome(run), _grid(run)[1]
    rows = []
    for score in found.scores if found else ():
        candidate = grid.candidates[score.candidate]
        name = str(candidate.coefficients) + (" (the paper's)" if found and score.candidate == found.paper else "")
        mean = str(score.accuracy).replace("+-", "±")
        macs = format_amount(count(candidate.architecture).macs)
        side, seeds = str(candidate.architecture.resolution), str(len(score.accuracies))
        rows.append([name, mean, macs, f"{candidate.ratio:.3f}", side, seeds])
    return {"columns": ["Alpha / beta / gamma", "Accuracy", "MACs", "Ratio", "Pixels", "Seeds"], "rows": rows}


def family_table(run: RunRecord) -> Table:
    """The members of the winner's family."""
    (settings, grid), found = _grid(run), outcome(run)
    rows = []
    if found is not None:
        triple = found.coefficients(grid)
        for phi, member in members(settings, triple).items():
            cost = count(member)
            factors = (f"{triple.alpha**phi:.2f}", f"{triple.beta**phi:.2f}", member.resolution)
            rows.append([str(cell) for cell in (phi, *factors, format_amount(cost.macs), format_amount(cost.params))])
    return {"columns": ["phi", "Depth", "Width", "Pixels", "MACs", "Params"], "rows": rows}


def labels(run: RunRecord) -> list[dict[str, Any]]:
    """For each trial the triple, the length of training and the seed that it stands for."""
    settings, grid = _grid(run)
    return [
        {
            "triple": _triple(trial.tokens[CANDIDATE], grid, settings),
            "fidelity": settings.rungs[trial.tokens[FIDELITY]],
            "seed": trial.tokens[REPEAT],
        }
        for trial in run.trials
    ]


def _triple(number: int, grid: Grid, settings: GridConfig) -> str:
    triple = str(grid.networks_to_train[number].coefficients)
    return triple if number < len(grid.candidates) else f"{triple} at phi {phi_of(number, grid, settings):g}"


def asked(run: RunRecord) -> list[tuple[str, str]]:
    """What was asked of a grid."""
    settings, _ = _grid(run)
    return [
        ("Baseline", settings.name),
        ("Target", f"{settings.bounds.target:.4g} times its multiply-adds"),
        ("Constraint", settings.constraint),
        ("Lengths of training", ", ".join(f"{rung}x" for rung in settings.rungs)),
        ("Finalists and seeds", f"{settings.finalists}, {settings.repeats}"),
        *([("Checked at phi", ", ".join(f"{phi:g}" for phi in settings.check_phi))] if settings.check_phi else []),
    ]


def _grid(run: RunRecord) -> tuple[GridConfig, Grid]:
    assert run.grid is not None, "only a grid's record is given here"
    return run.grid
