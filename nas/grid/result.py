"""What a grid search found: scores at equal epochs, the winner and how sure it is, the files that keep it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.halving import CANDIDATE, FIDELITY, REPEAT
from nas import config as configs
from nas.grid.coefficients import FORMAT, PAPER, Coefficients, member_name
from nas.grid.config import GridConfig
from nas.grid.enumeration import Candidate, Grid, realise
from nas.history import Trial
from nas.journal import refuse_link
from nas.statistics import CONFIDENCE, Difference, Mean, at_chance, mean_of, paired_difference
from nas.study import Study
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError, NasError
from search_space.io import strict_yaml
from search_space.io.files import write_atomic

COLUMNS = (
    *("trial", "candidate", "alpha", "beta", "gamma", "resolution", "ratio", "fidelity", "repeat"),
    *("accuracy", "loss", "macs", "params", "status", "reason", "seconds", "key"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A finalist's result."""

    candidate: int
    accuracies: tuple[float, ...]
    """In the last rung, by seed."""
    losses: tuple[float, ...]

    @property
    def accuracy(self) -> Mean:
        """Over the seeds."""
        return mean_of(self.accuracies)

    @property
    def loss(self) -> Mean:
        """Validation loss over the seeds, nats."""
        return mean_of(self.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridResult:
    """The finalists, best first, and the winner's lead."""

    scores: tuple[Score, ...]
    against: tuple[tuple[str, int, Difference], ...]
    """What the best is set against: who, which candidate, and its accuracy minus theirs."""
    paper: int | None
    """The candidate that the paper's triple builds; None if it is outside the constraint."""
    on_target: bool = True
    """Whether a step of phi by the paper's triple costs what was asked for."""

    @property
    def best(self) -> int:
        """The candidate of the highest mean accuracy."""
        return self.scores[0].candidate

    @property
    def keeps_paper(self) -> str:
        """Why the paper's triple is kept, though another network scored best; empty where the best one wins.

        Where seeds could have made the order, the triple that is known to work elsewhere is the better answer.
        """
        if self.best == self.paper or not self.on_target:
            return ""
        rivals = {name: lead for name, _, lead in self.against}
        lead = rivals.get("paper", rivals.get("runner-up"))
        if lead is None:
            return "no other network was trained on all seeds"
        who = "it" if "paper" in rivals else "the runner-up"
        return "" if lead.distinguishable else f"the best network is not distinguishable from {who}"

    def coefficients(self, grid: Grid) -> Coefficients:
        """The triple that the family is scaled with."""
        return PAPER if self.keeps_paper else grid.candidates[self.best].coefficients


def paper_candidate(grid: Grid, settings: GridConfig) -> int | None:
    """The candidate that the paper's triple builds under the run's constraint, if it is among them."""
    try:
        network = realise(settings.baseline, PAPER, settings.bounds)
    except InputError:  # beyond what an architecture may be
        return None
    numbers = [i for i, candidate in enumerate(grid.candidates) if candidate.architecture == network]
    return numbers[0] if numbers else None


def compare_finalists(
    trials: Sequence[Trial], settings: GridConfig, paper: int | None, described: Mapping[str, Any]
) -> GridResult:
    """Compare the last rung's networks: equal epochs, equal seeds.

    Choosing the best compares every pair, so all pairs share the chance of a false alarm.

    Args:
        trials: The grid's.
        settings: Its config.
        paper: The candidate that the paper's triple builds.
        described: What the evaluator said of itself.

    Raises:
        NasError: No network was trained on all seeds, or all of them guess.
    """
    whole = scores_of(trials, settings)
    if not whole:
        failed = next((t.evaluation for t in trials if t.evaluation and not t.ok), None)
        why = f"{failed.status}: {failed.reason}" if failed else "it was stopped before"
        raise NasError(f"no network was trained on all {settings.repeats} seeds (the first that was not: {why})")
    if guess := at_chance([accuracy for score in whole for accuracy in score.accuracies], described):
        raise NasError(f"nothing was learned, and no family is written: {guess}; train longer or on more images")
    ranked = sorted(whole, key=lambda score: (-score.accuracy.mean, score.candidate))
    rivals = [("runner-up", ranked[1])] if len(ranked) > 1 else []
    rivals += [("paper", score) for score in ranked[1:] if score.candidate == paper]
    pairs = len(ranked) * (len(ranked) - 1) // 2
    against = [
        (name, rival.candidate, paired_difference(ranked[0].accuracies, rival.accuracies, pairs))
        for name, rival in rivals
    ]
    away = abs(PAPER.product - settings.bounds.product)
    on_target = settings.target_flops is None or away <= settings.tolerance
    return GridResult(scores=tuple(ranked), against=tuple(against), paper=paper, on_target=on_target)


def scores_of(trials: Sequence[Trial], settings: GridConfig) -> list[Score]:
    """The networks that were trained on all seeds in the last rung, by number."""
    last = len(settings.rungs) - 1
    finals = [trial for trial in trials if trial.tokens[FIDELITY] == last and trial.tokens[REPEAT]]
    scores = [_score(number, finals) for number in sorted({trial.tokens[CANDIDATE] for trial in finals})]
    return [score for score in scores if len(score.accuracies) == settings.repeats]


def _score(number: int, finals: Sequence[Trial]) -> Score:
    own = sorted((t for t in finals if t.tokens[CANDIDATE] == number and t.ok), key=lambda t: t.tokens[REPEAT])
    results = [trial.evaluation for trial in own if trial.evaluation]
    return Score(
        candidate=number,
        accuracies=tuple(result.accuracy for result in results if result.accuracy is not None),
        losses=tuple(result.losses[-1] for result in results if result.losses),
    )


def members(settings: GridConfig, coefficients: Coefficients) -> dict[int, Architecture]:
    """The family by phi, in its order; 0 is the baseline.

    It ends early where an architecture cannot grow or shrink on.
    """
    found = {0: settings.baseline}
    for phis in (range(1, settings.family + 1), range(-1, settings.family_from - 1, -1)):
        for phi in phis:
            try:
                found[phi] = coefficients.scale(settings.baseline, phi)
            except InputError:
                break
    return dict(sorted(found.items()))


def export(
    path: Path, study: Study, grid: Grid, settings: GridConfig, finding: GridResult, checked: Sequence[dict[str, Any]]
) -> None:
    """Write coefficients.yaml and family/<name>-<phi>.yaml; `checked` is what larger phis said, as plain data."""
    chosen, document = finding.coefficients(grid), _document(path, study, grid, settings, finding)
    if checked:
        document["evidence"]["checks"] = list(checked)
    write_atomic(path / "coefficients.yaml", strict_yaml.dump(document))
    triple = {"alpha": chosen.alpha, "beta": chosen.beta, "gamma": chosen.gamma}
    refuse_link(path / "family")
    for phi, member in members(settings, chosen).items():
        name, cost = member_name(settings.name, phi), count(member)
        metrics = {"macs": cost.macs, "params": cost.params}
        provenance = {"run": path.name, "baseline": settings.name, **triple, "phi": phi, "versions": configs.versions()}
        text = member.to_yaml(name=name, metrics=metrics, provenance=provenance)
        write_atomic(path / "family" / f"{name}.yaml", text)


def _document(path: Path, study: Study, grid: Grid, settings: GridConfig, finding: GridResult) -> dict[str, Any]:
    """The triple, its evidence, and the alternatives, as plain data."""
    bounds = settings.bounds
    base = {"name": settings.name, "key": settings.baseline.key, "macs": count(settings.baseline).macs}
    evidence = {
        "run": path.name,
        "evaluator": settings.evaluator.name,
        "data": configs.images_of(settings.evaluator),
        "seed": settings.seed,
        "fidelity": settings.rungs[-1],
        "repeats": settings.repeats,
        "confidence": CONFIDENCE,
        "best": triple_of(grid.candidates[finding.best].coefficients),
        "keeps_paper": finding.keeps_paper,
        "against": [lead_of(name, grid.candidates[rival], lead) for name, rival, lead in finding.against],
        "triples": len(grid.triples),
        "networks": len(grid.networks),
        "candidates": len(grid.candidates),
        "versions": configs.versions(),
    }
    scores = {score.candidate: score for score in finding.scores}
    order = sorted(
        range(len(grid.candidates)), key=lambda i: (list(scores).index(i) if i in scores else len(scores), i)
    )
    return {
        "format": FORMAT,
        **triple_of(finding.coefficients(grid)),
        "baseline": base,
        "phi": settings.phi,
        "constraint": settings.constraint,
        "target": round(bounds.target, 4),
        "evidence": evidence,
        "candidates": [_row(i, grid.candidates[i], study, scores.get(i), settings) for i in order],
    }


def triple_of(coefficients: Coefficients) -> dict[str, float]:
    """The bases as plain data."""
    return {"alpha": coefficients.alpha, "beta": coefficients.beta, "gamma": coefficients.gamma}


def lead_of(name: str, rival: Candidate, lead: Difference) -> dict[str, Any]:
    """A lead and whom it is against, as plain data."""
    return {
        "what": name,
        **triple_of(rival.coefficients),
        "accuracy_difference": round(lead.mean, 5),
        "standard_error": round(lead.standard_error, 5),
        "interval": [round(lead.low, 5), round(lead.high, 5)],
        "distinguishable": lead.distinguishable,
    }


def _row(number: int, candidate: Candidate, study: Study, score: Score | None, settings: GridConfig) -> dict[str, Any]:
    own = [trial for trial in study.trials if trial.tokens[CANDIDATE] == number]
    row: dict[str, Any] = {
        "candidate": number,
        **triple_of(candidate.coefficients),
        "resolution": candidate.architecture.resolution,
        "ratio": round(candidate.ratio, 4),
        "triples": len(candidate.triples),
        "trained_to": max((settings.rungs[trial.tokens[FIDELITY]] for trial in own), default=0),
    }
    if score is not None:
        row |= {"accuracy": round(score.accuracy.mean, 5), "standard_error": round(score.accuracy.standard_error, 5)}
    return row


def trials_csv(study: Study, grid: Grid, settings: GridConfig) -> str:
    """One row a finished trial."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for trial in study.trials:
        if (e := trial.evaluation) is None:
            continue
        number, rung, repeat = trial.tokens
        candidate = grid.networks_to_train[number]
        triple = triple_of(candidate.coefficients).values()
        what = (trial.number, number, *triple, candidate.architecture.resolution, round(candidate.ratio, 4))
        loss = e.losses[-1] if e.losses else None
        result = (e.accuracy, loss, trial.macs, trial.params, e.status, e.reason, round(e.seconds, 3), trial.key)
        rows.writerow((*what, settings.rungs[rung], repeat, *result))
    return text.getvalue()
