"""What a search says before it starts (the plan) and when it ends (the result)."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from evaluator.base import Evaluation, Evaluator
from nas import config
from nas.config import SearchConfig
from nas.engines.base import Job
from nas.engines.local import estimate_seconds
from nas.runs.deployment import describe, reference_name, reference_network
from nas.runs.search import StudyRun
from nas.study import Study
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, sample_tokens
from search_space.errors import NasError
from search_space.io.amounts import format_amount
from search_space.seeding import derive_seed
from search_space.space import SearchSpace


def plan(settings: SearchConfig, space: Space, evaluator: Evaluator[Any]) -> list[str]:
    """The resolved config, notes on the data, the space and its FLOPs distribution, and the time that trials take."""
    lines = [config.to_yaml(settings), *filter(None, [describe(settings)]), *evaluator.describe().get("notes", ())]
    generator = np.random.default_rng(derive_seed(settings.seed, "dry run"))
    lines.append(f"Space {space.name}: {len(space.decisions)} decisions{_extent(space)}")
    samples = [space.decode(sample_tokens(space.decisions, generator)) for _ in range(2_000)]
    macs = np.array([count(sample).macs for sample in samples])
    quantiles = np.quantile(macs, (0.05, 0.25, 0.5, 0.75, 0.95))
    shares = ", ".join(f"{q} % {format_amount(round(v))}" for q, v in zip((5, 25, 50, 75, 95), quantiles, strict=True))
    lines.append(f"MACs of 2,000 random networks, quantiles: {shares}")
    low, high = settings.band or (0.0, float("inf"))
    near = [s for s, m in zip(samples, macs / settings.target_flops, strict=True) if low <= m <= high]
    lines.append(f"Inside the band that is searched: {len(near) / len(samples):.1%} of them")
    if not near:
        raise NasError("no random network fell into the band, so none was timed; widen it with --set band=[0.2,2]")
    job = Job(trial=-1, architecture=near[0], seed=derive_seed(settings.seed, "dry run"))
    seconds = estimate_seconds(evaluator, job)
    if seconds is None:
        lines.append(f"How long {settings.trials} trials take is unknown: {settings.evaluator.name} has no estimate")
    else:
        each, minutes = f"One trial takes about {seconds:.1f} s", seconds * settings.trials / 60
        lines.append(f"{each}: {settings.trials} trials take about {minutes:.1f} minutes, one after the other")
    return lines


def _extent(space: Space) -> str:
    """What only a space read from YAML knows of itself."""
    if not isinstance(space, SearchSpace):
        return ""
    low, high = space.macs_range()
    return f", {space.size:.2g} proposals, {format_amount(low)} to {format_amount(high)} MACs"


def result(run: StudyRun, reference: str) -> list[str | Table]:
    """The best network next to the reference, and where to find it.

    Raises:
        NasError: No network succeeded.
    """
    study, best = run.study, run.best_trial
    if best is None or best.evaluation is None:
        first = next((t.evaluation for t in run.finished), None)
        why = f"{first.status}: {first.reason}" if first else "none was run"
        raise NasError(f"no network could be evaluated in {len(run.trials)} trials (the first: {why})")
    table = Table(box=None, pad_edge=False)
    for column in ("network", "accuracy", "MACs", "parameters", "reward"):
        table.add_column(column, justify="left" if column == "network" else "right")
    _add_row(table, study, f"best (trial {best.number})", study.architecture(best), best.evaluation)
    if reference in run.references:
        known = reference_network(run.settings)
        _add_row(table, study, reference_name(known), known, run.references[reference])
    trained = [t for t in run.finished if t.repeat_of is None]
    failed = sum(not t.ok for t in trained)
    seconds = sum(t.evaluation.seconds for t in trained if t.evaluation)
    done = "trained" if run.evaluator[0].trains else "evaluated"
    counts = f"{len(run.trials)} trials, {len(trained)} {done}, {failed} failed, {seconds:.0f} s of evaluation"
    files = [f"Best network: {run.path / 'best.yaml'}", f"Report: {run.path / 'report.html'}"]
    return ["", table, f"\n{counts}", *files]


def _add_row(table: Table, study: Study, name: str, architecture: Architecture, evaluation: Evaluation) -> None:
    cost = count(architecture)
    if evaluation.accuracy is None:
        table.add_row(name, evaluation.status, f"{cost.macs:,}", f"{cost.params:,}", "-")
    else:
        reward = study.objective.reward(evaluation.accuracy, cost.macs, evaluation.latency_ms)
        table.add_row(name, f"{evaluation.accuracy:.2%}", f"{cost.macs:,}", f"{cost.params:,}", f"{reward:.4f}")
