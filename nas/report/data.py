"""What the report page's scripts are given: a run as plain JSON values."""

from __future__ import annotations

from typing import Any

from nas.history import Trial
from nas.report import charts, facts, sharing
from nas.report.networks import NetworkTable
from nas.report.references import names, network_of, reference
from nas.report.scaling import part_of
from nas.runs.record import RunRecord
from search_space.decision import Decision

SETTLED = 0.9
"""A choice is all but decided from this probability on."""


def run_data(run: RunRecord, networks: NetworkTable) -> dict[str, Any]:
    """Everything the page's scripts show of a run; its networks are added to `networks`."""
    decisions, part = run.space.decisions if run.space else (), part_of(run)
    columns, reasons = _columns(run, networks)
    believed = charts.beliefs(decisions, run.signals)
    return {
        "name": run.name,
        "scale": _scale(run),
        "is_random": run.config.get("controller", {}).get("name") == "random",
        "target": run.objective.target_macs if run.objective else None,
        "trials": columns,
        "reasons": reasons,
        "best": run.best_trial.number if run.best_trial else None,
        "front": charts.pareto_front(run.trials),
        "best_so_far": charts.best_so_far(run.finished),
        "iso_rewards": _iso_rewards(run),
        "signals": charts.signal_lines(run.signals),
        "beliefs": believed,
        "beliefs_text": _beliefs_text(run, believed),
        "shared_text": sharing.text(run),
        "decisions": [] if part else [_decision(decision) for decision in decisions],
        "shown_batches": charts.batch_groups(len(run.history.batches)),
        "effects": [] if part else charts.effects(decisions, run.trials),
        "references": [_reference(run, name, networks) for name in names(run)],
        "grid": part.points(run) if part else None,
        "grid_trials": part.labels(run) if part else None,
    }


def _iso_rewards(run: RunRecord) -> list[dict[str, Any]]:
    """Curves of equal reward, where it is a matter of accuracy and MACs alone and both of them."""
    if run.objective is None or run.objective.target_latency_ms is not None or part_of(run):
        return []
    return charts.iso_rewards(run.objective, run.trials)


def _columns(run: RunRecord, networks: NetworkTable) -> tuple[dict[str, list[Any]], list[str]]:
    """The trials as columns, and the distinct reasons that their column ``reason`` counts into."""
    reasons = {"": 0}
    results = ("macs", "params", "accuracy", "reward", "status", "reason", "seconds", "repeat_of")
    titles = (*results, "network", "key", "curve", "shared_loss", "tokens", "batch")
    batch_of = {number: batch for batch, numbers in enumerate(run.history.batches) for number in numbers}
    columns: dict[str, list[Any]] = {title: [] for title in titles}
    for trial in run.trials:
        known = trial.evaluation
        row = (
            trial.macs,
            trial.params,
            None if known is None or known.accuracy is None else charts.rounded(known.accuracy),
            None if trial.reward is None else charts.rounded(trial.reward),
            known.status if known else "pending",
            reasons.setdefault(known.reason, len(reasons)) if known else 0,
            round(known.seconds, 2) if known else None,
            trial.repeat_of,
            _network(run, trial, networks),
            trial.key,
            [round(accuracy, 4) for accuracy in known.curve] if known else [],
            trial.shared_loss,
            [] if part_of(run) or run.space is None else trial.tokens,
            batch_of.get(trial.number),
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns, list(reasons)


def _network(run: RunRecord, trial: Trial, networks: NetworkTable) -> int | None:
    """The index of a trial's network; None where the space cannot be read or has other decisions by now."""
    if run.space is None or len(trial.tokens) != len(run.space.decisions):
        return None
    return networks.add(run.space.decode(trial.tokens), trial.key, trial.macs, trial.params)


def _reference(run: RunRecord, name: str, networks: NetworkTable) -> dict[str, Any]:
    known, architecture = reference(run, name), network_of(run, name)
    return {**known, "network": networks.add(architecture, architecture.key, known["macs"], known["params"])}


def _decision(decision: Decision) -> dict[str, Any]:
    requires = [[index, sorted(allowed)] for index, allowed in decision.requires]
    return {"name": decision.name, "choices": decision.choices, "requires": requires}


def _scale(run: RunRecord) -> str:
    """What the rewards of runs must have in common to share an axis."""
    known = dict(facts.asked(run))
    return "; ".join(f"{name} {known[name]}" for name in facts.MEANING if name in known)


POLICIES = {
    "guided": "The policy (last column) is trained anew against a model of all results whenever these have grown by a"
    " quarter; its samples are then refined by mutation under the model, so it need not agree with what is proposed.",
    "evolution": "The last column shows the population that is mutated.",
    "random": "The last column shows the last batch: nothing is learned.",
}
"""What a controller's probabilities are."""


def _beliefs_text(run: RunRecord, believed: dict[str, Any] | None) -> str:
    if not run.signals:
        return "The controller has not learned from a batch yet."
    if believed is None:
        return "This controller reports no probabilities."
    tops = [max(row[-1] for row in decision["rows"]) / 1000 for decision in believed["decisions"]]
    settled = sum(top >= SETTLED for top in tops)
    name = run.config.get("controller", {}).get("name", "")
    what = POLICIES.get(name, "The last column is the policy, from which networks are sampled.")
    text = f"{what} It gives one choice at least {SETTLED:.0%} in {settled} of {len(tops)} decisions."
    repeats = run.signals[-1].get("repeats")
    return text if repeats is None else f"{text} In the last batch {repeats:.0%} of the networks were repeats."
