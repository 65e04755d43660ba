"""What the report's charts show, as plain numbers: fronts, curves of equal reward, beliefs, effects of decisions."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluator.objective import Objective
from nas.history import Trial
from search_space.decision import Decision

MAX_COLUMNS = 120
"""Batches that a heat map shows; a screen has no room for more."""
MAX_POINTS = 1_000
"""Batches that a line of signals shows."""
MAX_GROUPS = 24
"""Groups of batches in which shares of choices are counted."""
CURVE_POINTS = 60


def pareto_front(trials: Sequence[Trial]) -> list[int]:
    """Numbers of the trials that no other beats in both accuracy and MACs, by rising MACs."""
    front, best = [], -math.inf
    for trial in sorted((t for t in trials if t.ok), key=lambda t: (t.macs, -_accuracy(t), t.number)):
        if _accuracy(trial) > best:
            front.append(trial.number)
            best = _accuracy(trial)
    return front


def best_so_far(trials: Sequence[Trial]) -> list[list[float]]:
    """Steps of the best reward: [trial number, reward] wherever it rises, and at the last trial."""
    steps: list[list[float]] = []
    for trial in trials:
        if trial.ok and trial.reward is not None and (not steps or trial.reward > steps[-1][1]):
            steps.append([trial.number, rounded(trial.reward)])
    if steps and trials[-1].number > steps[-1][0]:
        steps.append([trials[-1].number, steps[-1][1]])
    return steps


def iso_rewards(objective: Objective, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Curves of equal reward through the plot: that of the best trial, and of the quartiles of all.

    Returns:
        For each curve its reward, and the MACs and accuracies of its points.
    """
    good = [t for t in trials if t.ok]
    if not good:
        return []
    macs = [t.macs for t in good] + [objective.target_macs]
    grid = np.unique(np.geomspace(min(macs) * 0.95, max(macs) * 1.05, CURVE_POINTS).round()).astype(int).tolist()
    grid = sorted({*grid, objective.target_macs})  # the curve bends there
    rewards = [t.reward for t in good if t.reward is not None]
    levels = sorted({rounded(float(level)) for level in (max(rewards), *np.quantile(rewards, (0.75, 0.5, 0.25)))})
    curves = []
    for level in reversed(levels):
        points = [(m, objective.accuracy_for(level, m)) for m in grid]
        inside = [(m, rounded(a)) for m, a in points if 0 <= a <= 1]
        curves.append({"reward": level, "macs": [m for m, _ in inside], "accuracy": [a for _, a in inside]})
    return curves


def signal_lines(signals: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Every number the controller reports, over batches: {"batch": [...], "lines": {name: [...]}}."""
    kept = _thinned(len(signals), MAX_POINTS)
    names: dict[str, None] = {}
    for signal in signals:
        names |= {name: None for name, value in signal.items() if _is_number(value)}
    values = {name: [_number(signals[i].get(name)) for i in kept] for name in names}
    return {"batch": kept, "lines": values}


def beliefs(decisions: Sequence[Decision], signals: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The controller's probabilities over batches, one row a choice; None where it reports none.

    Returns:
        ``batch``: the batches shown; ``decisions``: name, choices and rows of each decision, in thousandths.
    """
    sizes = [len(decision.choices) for decision in decisions]
    told = [i for i, s in enumerate(signals) if [len(row) for row in s.get("probabilities", ())] == sizes]
    if not told:
        return None
    kept = [told[i] for i in _thinned(len(told), MAX_COLUMNS)]
    tables = []
    for index, decision in enumerate(decisions):
        columns = [signals[i]["probabilities"][index] for i in kept]
        rows = [[_thousandths(column[choice]) for column in columns] for choice in range(len(decision.choices))]
        tables.append({"name": decision.name, "choices": list(decision.choices), "rows": rows})
    return {"batch": kept, "decisions": tables}


def _thousandths(probability: float) -> int:
    return round(1000 * min(1.0, max(0.0, probability)))  # a journal may hold any number


def batch_groups(count: int) -> list[list[int]]:
    """At most `MAX_GROUPS` groups of neighbouring batches: [first, last] of each."""
    ends = np.unique(np.linspace(0, count, min(count, MAX_GROUPS) + 1).round()).astype(int).tolist()
    return [[first, last - 1] for first, last in itertools.pairwise(ends)]


def effects(decisions: Sequence[Decision], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """How accuracy and MACs of the tried networks differ between the choices of each decision.

    Among the distinct networks in which the decision applied: the mean of each choice less the mean of all, with the
    half-width of its 95 % interval (Student's t on the spread within all choices; None where every choice was tried
    once). These are differences within what the search happened to try, not of one change alone. Decisions are
    sorted by the share of the variance of accuracy that they explain (omega squared: Hays, Statistics, 1963; unlike
    eta squared it does not grow by chance with the number of choices).
    """
    good = [t for t in trials if t.ok and t.repeat_of is None]
    if len(good) < 3 or not decisions:
        return []
    tokens = np.array([t.tokens for t in good])
    measures = {
        "accuracy": np.array([_accuracy(t) for t in good]),
        "macs": np.array([float(t.macs) for t in good]),
    }
    tables = []
    for index, decision in enumerate(decisions):
        applies = np.array([decision.applies(t.tokens) for t in good])
        chosen = tokens[applies, index]
        groups = [np.flatnonzero(chosen == choice) for choice in range(len(decision.choices))]
        if sum(len(group) > 0 for group in groups) < 2:
            continue
        table: dict[str, Any] = {"name": decision.name, "choices": list(decision.choices)}
        table["count"] = [len(group) for group in groups]
        for name, values in measures.items():
            table[name], table[f"{name}_share"] = _compare(values[applies], groups)
        tables.append(table)
    return sorted(tables, key=lambda table: -table["accuracy_share"])


def rounded(value: float) -> float:
    """Six significant digits: more than any measurement here has."""
    return float(f"{value:.6g}")


def _compare(values: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[list[list[float | None]], float]:
    """One-way analysis of variance of `values` by `groups`, some of which may be empty.

    Returns:
        For each group [its mean less the mean of all, half-width of the 95 % interval], and omega squared.
    """
    filled = [group for group in groups if len(group)]
    total = float(np.square(values - values.mean()).sum())
    within = sum(float(np.square(values[g] - values[g].mean()).sum()) for g in filled)
    freedom = len(values) - len(filled)
    noise = within / freedom if freedom else math.nan
    quantile = _student(freedom) if freedom else math.nan
    rows: list[list[float | None]] = []
    for group in groups:
        if not len(group):
            rows.append([None, None])
            continue
        # The group is a part of the whole, so the difference varies less than the group's mean does.
        half_width = quantile * math.sqrt(noise * (1 / len(group) - 1 / len(values)))
        difference = rounded(float(values[group].mean() - values.mean()))
        rows.append([difference, None if math.isnan(half_width) else rounded(half_width)])
    if not freedom or total <= 0:
        return rows, 0.0
    return rows, rounded(max(0.0, (total - within - (len(filled) - 1) * noise) / (total + noise)))


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t."""
    from scipy.special import stdtrit  # slow to load, and help screens do without

    return float(stdtrit(freedom, 0.975))


def _thinned(count: int, most: int) -> list[int]:
    """At most `most` evenly spread indices below `count`, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round()).astype(int).tolist() if count else []


def _accuracy(trial: Trial) -> float:
    assert trial.evaluation is not None
    assert trial.evaluation.accuracy is not None
    return trial.evaluation.accuracy


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and abs(value) <= sys.float_info.max


def _number(value: Any) -> float | None:
    return rounded(float(value)) if _is_number(value) else None
