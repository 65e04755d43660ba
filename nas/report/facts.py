"""What was asked of a run and how it stands, as text: for one run a list, for several a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from nas.config import SearchConfig
from nas.history import Trial
from nas.report.references import compared, reference
from nas.report.scaling import part_of
from nas.runs.directory import JOURNAL
from nas.runs.record import RunRecord
from search_space.io.amounts import format_amount

Facts = list[tuple[str, str]]


def state_text(run: RunRecord) -> str:
    """How the run stands, in a few words."""
    done = len(run.finished)
    own = f"{done} trial{'s' * (done != 1)}"
    trials = run.settings.trials if isinstance(run.settings, SearchConfig) else 0
    of_all = f"{done} of {trials} trials" if done < trials else own  # a time may reach further
    return {
        "finished": f"finished, {own}",
        "running": f"still running, {of_all}{_left(run)}",
        "stopped": f"stopped after {of_all}",
        "damaged": f"damaged, {own} can be read",
        "empty": "nothing was recorded yet",
    }[run.state]


def _left(run: RunRecord) -> str:
    """How much evaluation is left, if trials go on taking as long as they did."""
    times = [t.evaluation.seconds for t in run.finished if t.evaluation and t.repeat_of is None]
    if not times or not isinstance(run.settings, SearchConfig) or len(run.finished) >= run.settings.trials:
        return ""
    left = sum(times) / len(times) * (run.settings.trials - len(run.finished))
    return f", about {duration(left)} of evaluation left"


def asked(run: RunRecord) -> Facts:
    """The settings that make one run differ from another."""
    settings = run.settings
    if settings is None:
        return []
    evaluator = [
        ("Evaluator", f"{settings.evaluator.name} ({settings.evaluator.preset})"),
        ("Data", str(settings.evaluator.settings.get("data", "-"))),
        ("Epochs", str(settings.evaluator.settings.get("epochs", "-"))),
        ("Seed", str(settings.seed)),
    ]
    if part := part_of(run):
        return [*part.asked(run), *evaluator]
    assert isinstance(settings, SearchConfig)
    slopes = ", ".join(dict.fromkeys(f"{slope:g}" for slope in (settings.objective.alpha, settings.objective.beta)))
    band, latency = settings.band, settings.objective.target_latency_ms
    size = f"{settings.resolution or 'any'} pixels, {settings.classes} classes" if settings.classes else "as published"
    return [
        ("Target", f"{format_amount(settings.target_flops)} multiply-adds" + (f", {latency:g} ms" if latency else "")),
        ("Networks for", size),
        ("Objective", f"{settings.objective.kind}, w = {slopes}"),
        ("Search space", settings.space),
        ("MACs searched", f"{band[0]:g} to {band[1]:g} times target" if band else "no limit"),
        ("Controller", f"{settings.controller.name} ({settings.controller.preset})"),
        *evaluator,
    ]


def done(run: RunRecord) -> Facts:
    """What came of it: trials, failures, time."""
    settings = run.settings
    if settings is None:
        return []
    trained = [t for t in run.finished if t.repeat_of is None]
    failed = sum(not t.ok for t in trained)
    planned = f" of {settings.trials}" if isinstance(settings, SearchConfig) else ""
    return [
        ("Trials", f"{len(run.finished)}{planned}: {len(trained)} trained, {failed} failed"),
        ("Failed", failures(trained)),
        ("Time evaluating", duration(sum(t.evaluation.seconds for t in trained if t.evaluation))),
        ("Last result", _written(run)),
    ]


def versions(run: RunRecord) -> str:
    """What the run was made with."""
    return ", ".join(f"{name} {version}" for name, version in run.history.versions.items())


def failures(trained: Sequence[Trial]) -> str:
    """How many trainings failed, and the most frequent reason."""
    reasons = Counter(f"{t.evaluation.status}: {t.evaluation.reason}" for t in trained if t.evaluation and not t.ok)
    if not reasons:
        return "none"
    first, count = reasons.most_common(1)[0]
    return f"{count} × {first}" + (f", {reasons.total() - count} others" if len(reasons) > 1 else "")  # noqa: RUF001


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
    """Several runs, a row each: results first, then the settings that are not the same in all.

    Returns:
        ``title``: which found the best, where they compare; ``columns`` and ``rows`` of text;
        ``same``: (name, value) of the settings that all share; ``differ``: the names of those that change what an
        accuracy or a reward means, and so forbid comparing them.
    """
    settings = [dict(asked(run)) for run in runs]
    names = list(dict.fromkeys(name for own in settings for name in own))
    told = [own for own in settings if own]
    same = [name for name in names if len({own.get(name) for own in told}) == 1]
    differing = [name for name in names if name not in same]
    columns = ["Accuracy", "MACs", "Params", "Best reward", "Reward of reference", "Trials", "Failed", "State"]
    rows = [
        [run.name, *_results(run), *(own.get(name, "-") for name in differing)]
        for run, own in zip(runs, settings, strict=True)
    ]
    differ = [name for name in differing if name in MEANING]
    return {
        "title": (not differ and _ahead(runs)) or f"{len(runs)} runs side by side",
        "columns": [*columns, *differing],
        "rows": rows,
        "same": [(name, told[0][name]) for name in same],
        "differ": differ,
    }


def _ahead(runs: Sequence[RunRecord]) -> str:
    """Which of comparable searches found the best network; empty for grids and studies, which judge over seeds."""
    best = [(run.best_trial.reward or 0.0, run.name) for run in runs if run.best_trial and not part_of(run)]
    if len(best) < len(runs):
        return ""
    (first, name), (second, other) = sorted(best, reverse=True)[:2]
    whom = other if len(best) == 2 else f"{len(best) - 1} others"
    return "" if first == second else f"{name} is ahead of {whom}: reward {first:.4f} against {second:.4f}"


MEANING = ("Target", "Networks for", "Objective", "Evaluator", "Data", "Epochs", "Baseline", "Constraint")
"""Settings without which accuracies and rewards of two runs are no match for each other."""


def _results(run: RunRecord) -> list[str]:
    best, found = run.best_trial, ["-"] * 5
    if best is not None and best.evaluation is not None:
        known = reference(run, compared(run))["reward"]
        found = [f"{best.evaluation.accuracy:.2%}", format_amount(best.macs), format_amount(best.params)]
        found += [f"{best.reward:.4f}", "-" if known is None else f"{known:.4f}"]
    return [*found, str(len(run.finished)), str(sum(not t.ok for t in run.finished)), run.state]
