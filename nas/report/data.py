"""What the report page is given: a run as plain JSON values, and the sentences around it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from nas.config import SearchConfig
from nas.grid.config import GridConfig
from nas.history import Trial
from nas.report import charts
from nas.report import grid as report_grid
from nas.report.networks import NetworkTable
from nas.runs.deployment import reference_network
from nas.runs.directory import BASELINE, JOURNAL, REFERENCE_NETWORK, read_verdict
from nas.runs.record import RunRecord
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io.amounts import format_amount

SETTLED = 0.9
"""A decision counts as settled when one of its choices has at least this probability."""


def run_data(run: RunRecord, networks: NetworkTable) -> dict[str, Any]:
    """Everything the page's scripts show of a run; its networks are added to `networks`."""
    decisions = run.space.decisions if run.space else ()
    columns, reasons = _columns(run, networks)
    believed = charts.beliefs(decisions, run.signals)
    return {
        "name": run.name,
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
        "effects": [] if run.grid else charts.effects(decisions, run.trials),
        "references": [_reference(run, name, networks) for name in dict.fromkeys([_compared(run), *run.references])],
        "grid": report_grid.grid_points(run) if run.grid else None,
    }


def _compared(run: RunRecord) -> str:
    """The known network that the best one stands beside, evaluated or not."""
    return BASELINE if run.grid else REFERENCE_NETWORK


def _iso_rewards(run: RunRecord) -> list[dict[str, Any]]:
    """Curves of equal reward, where it is a matter of accuracy and MACs alone and both of them."""
    if run.objective is None or run.objective.target_latency_ms is not None or run.grid:
        return []
    return charts.iso_rewards(run.objective, run.trials)


def _columns(run: RunRecord, networks: NetworkTable) -> tuple[dict[str, list[Any]], list[str]]:
    """The trials as columns, and the distinct reasons that their column ``reason`` counts into."""
    reasons = {"": 0}
    names = ("macs", "params", "accuracy", "reward", "status", "reason", "seconds", "repeat_of", "network", "key")
    columns: dict[str, list[Any]] = {name: [] for name in names}
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
    architecture = _network_of(run, name)
    cost, found = count(architecture), run.references.get(name)
    accuracy = found.accuracy if found else None
    reward = None
    if found and accuracy is not None and run.objective:
        reward = run.objective.reward(accuracy, cost.macs, found.latency_ms)
    return {
        "name": name,
        "status": found.status if found else "not evaluated",
        "reason": found.reason if found else "",
        "accuracy": accuracy,
        "reward": reward,
        "macs": cost.macs,
        "params": cost.params,
        "network": networks.add(architecture, architecture.key, cost.macs, cost.params),
    }


def _network_of(run: RunRecord, name: str) -> Architecture:
    """What a reference's name stands for in a run."""
    if run.grid and name == BASELINE:
        return run.grid[0].baseline
    if isinstance(run.settings, SearchConfig) and name == REFERENCE_NETWORK:
        return reference_network(run.settings)
    return Architecture.load(name)


def _beliefs_text(run: RunRecord, believed: dict[str, Any] | None) -> str:
    if not run.signals:
        return "The controller has not learned from a batch yet."
    if believed is None:
        return "This controller reports no probabilities."
    tops = [max(row[-1] for row in decision["rows"]) / 1000 for decision in believed["decisions"]]
    settled = sum(top >= SETTLED for top in tops)
    text = (
        f"After {len(run.signals)} batches {settled} of {len(tops)} decisions are settled (one choice has at least"
        f" {SETTLED:.0%}); the favourite choice of a decision has {sum(tops) / len(tops):.0%} on average."
    )
    repeats = run.signals[-1].get("repeats")
    return text if repeats is None else f"{text} In the last batch {repeats:.0%} of the networks were repeats."


def run_texts(run: RunRecord) -> dict[str, Any]:
    """What the page's templates show of a run."""
    return {
        "name": run.name,
        "state": run.state,
        "state_text": _state_text(run),
        "notices": [*run.notices, *_failure_notice(run)],
        "tiles": _tiles(run),
        "verdict": read_verdict(run.path, len(run.trials)),
        "facts": _facts(run),
        "family": report_grid.family_table(run) if run.grid else None,
    }


def _state_text(run: RunRecord) -> str:
    done = len(run.finished)
    planned = f"of {run.settings.trials} " if isinstance(run.settings, SearchConfig) else ""
    return {
        "finished": f"finished, {done} trials",
        "running": f"still running, {done} {planned}trials",
        "stopped": f"stopped after {done} {planned}trials",
        "damaged": f"damaged, {done} trials can be read",
        "empty": "nothing was recorded yet",
    }[run.state]


def _failure_notice(run: RunRecord) -> list[str]:
    if run.best_trial is not None or not run.finished:
        return []
    first = run.finished[0].evaluation
    assert first is not None
    return [f"No network could be evaluated: all {len(run.finished)} failed, the first {first.status}: {first.reason}"]


def _tiles(run: RunRecord) -> list[dict[str, str]]:
    """Accuracy, MACs, parameters and reward of the best network, beside those of the known one."""
    best = run.best_trial
    if best is None or best.evaluation is None or best.evaluation.accuracy is None or best.reward is None:
        return []
    known = _reference(run, _compared(run), NetworkTable())
    accuracy, reward = known["accuracy"], known["reward"]
    who = BASELINE if run.grid else "B0"
    name = who if accuracy is not None else f"{who} {known['status']}"
    return [
        _tile(
            "Accuracy", f"{best.evaluation.accuracy:.2%}", f"{name} {accuracy:.2%}" if accuracy is not None else name
        ),
        _tile("Multiply-adds", format_amount(best.macs), f"{who} {format_amount(known['macs'])}"),
        _tile("Parameters", format_amount(best.params), f"{who} {format_amount(known['params'])}"),
        _tile("Reward", f"{best.reward:.4f}", f"{name} {reward:.4f}" if reward is not None else name),
    ]


def _tile(label: str, value: str, beside: str) -> dict[str, str]:
    return {"label": label, "value": value, "beside": beside}


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    asked = run.settings
    if asked is None:
        return []
    ran = _facts_of_any_run(run, asked)
    if isinstance(asked, GridConfig):
        return [*report_grid.grid_facts(run), *ran]
    slopes = ", ".join(dict.fromkeys(f"{slope:g}" for slope in (asked.objective.alpha, asked.objective.beta)))
    band, latency = asked.band, asked.objective.target_latency_ms
    return [
        ("Target", f"{format_amount(asked.target_flops)} multiply-adds" + (f", {latency:g} ms" if latency else "")),
        ("Objective", f"{asked.objective.kind}, w = {slopes}"),
        ("Search space", asked.space),
        ("MACs searched", f"{band[0]:g} to {band[1]:g} times target" if band else "no limit"),
        ("Controller", f"{asked.controller.name} ({asked.controller.preset})"),
        *ran,
    ]


def _facts_of_any_run(run: RunRecord, asked: SearchConfig | GridConfig) -> list[tuple[str, str]]:
    trained = [t for t in run.finished if t.repeat_of is None]
    failed = sum(not t.ok for t in trained)
    planned = f" of {asked.trials}" if isinstance(asked, SearchConfig) else ""
    return [
        ("Evaluator", f"{asked.evaluator.name} ({asked.evaluator.preset})"),
        ("Data", str(asked.evaluator.settings.get("data", "-"))),
        ("Trials", f"{len(run.finished)}{planned}: {len(trained)} trained, {failed} failed"),
        ("Seed", str(asked.seed)),
        ("Time evaluating", duration(sum(t.evaluation.seconds for t in trained if t.evaluation))),
        ("Last result", _written(run)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.history.versions.items())),
    ]


def _written(run: RunRecord) -> str:
    return datetime.fromtimestamp((run.path / JOURNAL).stat().st_mtime).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``5 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def comparison(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """The table that compares several runs."""
    columns = ["State", "Target", "Controller", "Evaluator", "Data", "Seed", "Trials", "Failed"]
    columns += ["Best reward", "Accuracy", "MACs", "Parameters", "Reward of B0 or baseline"]
    return {"columns": columns, "rows": [_comparison_row(run, len(columns)) for run in runs]}


def _comparison_row(run: RunRecord, num_columns: int) -> list[str]:
    settings, best = run.settings, run.best_trial
    if settings is None:
        return [run.name, run.state, *["-"] * (num_columns - 1)]
    target = run.objective.target_macs if run.objective else 0
    controller = settings.controller.name if isinstance(settings, SearchConfig) else "grid"
    asked: list[object] = [run.state, format_amount(target), controller, settings.evaluator.name]
    asked += [settings.evaluator.settings.get("data", "-"), settings.seed, len(run.finished)]
    asked += [sum(not t.ok for t in run.finished)]
    found = ["-"] * 4
    if best is not None and best.evaluation is not None:
        found = [f"{best.reward:.4f}", f"{best.evaluation.accuracy:.2%}"]
        found += [format_amount(best.macs), format_amount(best.params)]
    known = _reference(run, _compared(run), NetworkTable())["reward"]
    return [str(cell) for cell in (run.name, *asked, *found, "-" if known is None else f"{known:.4f}")]


def lede(runs: Sequence[RunRecord]) -> str:
    """The sentence under the title."""
    if len(runs) > 1:
        return f"{len(runs)} searches side by side."
    (run,) = runs
    settings = run.settings
    if settings is None:
        return "The journal holds no header yet, so there is nothing to show."
    if isinstance(settings, GridConfig):
        return str(report_grid.family_table(run)["text"])
    target = format_amount(settings.target_flops)
    asked = f"A search of the space {settings.space} for the best network of about {target} multiply-adds."
    best = run.best_trial
    if best is None or best.evaluation is None:
        return asked
    share = best.macs / settings.target_flops
    return f"{asked} The best of {len(run.finished)} trials is number {best.number}, with {share:.0%} of the target."
