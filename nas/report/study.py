"""The report of a study of ways of scaling: accuracy over true cost, a line a way, and what can be told apart."""

from __future__ import annotations

import shlex
from typing import Any

from controller.halving import CANDIDATE, FIDELITY, REPEAT
from nas.grid.comparison import AtCost, Findings, compare_ways, standing, verdict
from nas.grid.comparison_text import spreads
from nas.grid.config import GridConfig
from nas.grid.result import Score, scores_of
from nas.grid.ways import BASELINE, Comparison
from nas.report.charts import rounded
from nas.runs.header import training_flags
from nas.runs.record import RunRecord
from nas.statistics import Difference
from search_space.cost import count
from search_space.errors import NasError
from search_space.io.amounts import format_amount

Table = dict[str, Any]
"""``columns`` and ``rows`` of text."""
FRAME = {
    "title": "Accuracy over cost, by way of scaling",
    "note": "Each line is one way of scaling, from the baseline on, at true cost; bars are standard errors over seeds. "
    "All networks were trained equally long on the same seeds.",
}


def points(run: RunRecord) -> list[dict[str, Any]]:
    """For each way its networks by rising cost, the baseline first: true cost, mean accuracy, standard error."""
    settings, compared = _compared(run)
    scores = {score.candidate: score for score in scores_of(run.trials, settings)}
    first = {t.tokens[CANDIDATE]: t.number for t in reversed(run.trials)}
    rows = []
    for group, way in enumerate(settings.compare):
        for number, scaled in enumerate(compared.candidates):
            if scaled.way not in (way, BASELINE) or number not in scores:
                continue
            mean = scores[number].accuracy
            rows.append(
                {
                    "group": group,
                    "last": True,
                    "line": True,
                    "label": way,
                    "colour": f"--series-{group % 7 + 1}",
                    "name": scaled.name,
                    "aim": scaled.aim,
                    "ratio": rounded(scaled.ratio),
                    "accuracy": rounded(mean.mean),
                    "error": rounded(mean.standard_error),
                    "seeds": settings.repeats,
                    "trial": first[number],
                }
            )
    return rows


def outcome(run: RunRecord) -> Findings | None:
    """What a study says so far; None where nothing is compared yet, or nothing was learned."""
    settings, compared = _compared(run)
    try:
        return compare_ways(run.trials, compared, settings, run.history.described)
    except NasError:
        return None


def title(run: RunRecord) -> str:
    """The answer at the largest cost, in one line."""
    found = outcome(run)
    if found is None:
        return (
            "No ways of scaling are compared yet" if run.state != "finished" else "No ways of scaling can be compared"
        )
    said = standing(found.costs[-1], _compared(run)[1])
    return f"{said[0].upper()}{said[1:]} at {found.costs[-1].aim:g} times the cost"


def lead(run: RunRecord) -> str:
    """What was compared, in a sentence."""
    settings, _ = _compared(run)
    costs = " and ".join(f"{ratio:g}" for ratio in settings.ratios)
    ways = ", ".join(settings.compare)
    return f"Compared are {ways}, each at {costs} times the cost of the baseline, on {settings.repeats} seeds."


def verdict_lines(run: RunRecord) -> list[str]:
    """What can be told apart, as the terminal says it, and how equal the costs are."""
    found, (settings, compared) = outcome(run), _compared(run)
    if found is None:
        return ["Nothing is compared yet."]
    return [*reversed(verdict(found, compared)), *spreads(compared, settings.ratios)]


def commands(run: RunRecord) -> list[tuple[str, str]]:
    """What the networks are for."""
    settings, compared = _compared(run)
    if outcome(run) is None:
        return []
    path = run.path / "networks" / f"{compared.candidates[-1].name}.yaml"
    more = ",".join(f"{ratio:g}" for ratio in (*settings.ratios, 2 * settings.ratios[-1]))
    return [
        ("Train a network in full", f"nas-train {shlex.quote(str(path))}{training_flags(run.config)}"),
        ("Go on to a larger cost", f"nas-grid --run-dir {shlex.quote(str(run.path))} --resume --ratios {more}"),
    ]


def finalists(run: RunRecord) -> Table:
    """All networks, the largest cost first and there the best: accuracy, the hero's lead, cost."""
    found, compared = outcome(run), _compared(run)[1]
    rows = []
    for at in reversed(found.costs if found else ()):
        rows += [_row(score, compared, _lead(at, score)) for score in at.scores]
    if found and found.baseline:
        rows.append(_row(found.baseline, compared, ""))
    hero = {compared.candidates[at.hero].way for at in found.costs} if found else set()
    against = f"{hero.pop().capitalize()} less it" if len(hero) == 1 else "The best less it"
    return {"columns": ["Network", "Accuracy", against, "Ratio", "MACs", "Pixels", "Layers"], "rows": rows}


def _lead(at: AtCost, score: Score) -> str:
    leads: dict[int, Difference] = dict(at.leads)
    if score.candidate not in leads:
        return ""
    lead = leads[score.candidate]
    return f"{lead.mean * 100:+.2f} [{lead.low * 100:+.2f}, {lead.high * 100:+.2f}]"


def _row(score: Score, compared: Comparison, lead: str) -> list[str]:
    scaled = compared.candidates[score.candidate]
    network = scaled.architecture
    sizes = (format_amount(count(network).macs), str(network.resolution), str(sum(s.layers for s in network.stages)))
    return [scaled.name, str(score.accuracy).replace("+-", "±"), lead, f"{scaled.ratio:.3f}", *sizes]


def family_table(run: RunRecord) -> Table:
    """A study leaves no family."""
    return {"columns": [], "rows": []}


def labels(run: RunRecord) -> list[dict[str, Any]]:
    """For each trial the network and the seed that it stands for."""
    settings, compared = _compared(run)
    return [
        {
            "triple": compared.candidates[trial.tokens[CANDIDATE]].name,
            "fidelity": settings.rungs[trial.tokens[FIDELITY]],
            "seed": trial.tokens[REPEAT],
        }
        for trial in run.trials
    ]


def asked(run: RunRecord) -> list[tuple[str, str]]:
    """What was asked of a study."""
    settings, _ = _compared(run)
    return [
        ("Baseline", settings.name),
        ("Ways of scaling", ", ".join(settings.compare)),
        ("Costs over the baseline's", ", ".join(f"{ratio:g}" for ratio in settings.ratios)),
        ("Seeds", str(settings.repeats)),
    ]


def _compared(run: RunRecord) -> tuple[GridConfig, Comparison]:
    assert run.compared is not None, "only a study's record is given here"
    return run.compared
