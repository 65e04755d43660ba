"""What a search says before it starts (the plan) and when it ends (the result)."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from controller.proposals import select
from evaluator.base import Evaluation, Evaluator
from nas import config
from nas.config import SearchConfig
from nas.engines.base import Job
from nas.engines.local import estimate_seconds
from nas.problem import make_problem
from nas.report.answer import commands
from nas.runs import time_plan
from nas.runs.deployment import checkpoint_of, describe
from nas.runs.record import load
from nas.runs.references import ahead, in_order, network_of, title
from nas.runs.search import StudyRun
from nas.runs.time_plan import Plan
from nas.study import Study
from nas.trust.invisible import invisible
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, sample_tokens
from search_space.errors import NasError
from search_space.io.amounts import format_amount, format_clock
from search_space.seeding import derive_seed
from search_space.space import SearchSpace

AT_FLOOR = 0.1
"""How near the floor of the band a network sits on it, as a share of the way up to the target."""
HELD = 0.9
"""A band that begins here, as a share of the target, holds the budget by itself."""


def announcement(settings: SearchConfig, space: Space, planned: Plan | None = None) -> list[str]:
    """What networks are for, what is trained in their place, what that cannot see, and what is planned."""
    lines = [describe(settings), _unseen(settings, space)]
    if planned is not None and settings.time is not None:
        lines += time_plan.describe(planned, settings.time)
    return [line for line in lines if line]


def plan(settings: SearchConfig, space: Space, evaluator: Evaluator[Any], planned: Plan | None = None) -> list[str]:
    """The resolved config, notes on the data, the space and its FLOPs distribution, and the time that trials take."""
    lines = [config.to_yaml(settings), *announcement(settings, space, planned), *evaluator.describe().get("notes", ())]
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
    problem = make_problem(space, settings.objective, settings.band)
    timed = near[0] if near else space.decode(select(problem, 1, lambda _: (), generator, set())[0])
    job = Job(trial=-1, architecture=timed, seed=derive_seed(settings.seed, "dry run"))
    seconds = estimate_seconds(evaluator, job)
    if seconds is None:
        lines.append(f"How long {settings.trials} trials take is unknown: {settings.evaluator.name} has no estimate")
    else:
        each, minutes = f"One trial takes about {seconds:.1f} s", seconds * settings.trials / 60
        lines.append(f"{each}: {settings.trials} trials take about {minutes:.1f} minutes, one after the other")
    return lines


def caveat(settings: SearchConfig, space: Space) -> list[str]:
    """What stands in the way of an answer, and a search for a better one, a line; none if there is nothing to say."""
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    said = [cls.caveat(evaluator_config)] if cls.caveat(evaluator_config) else []
    if unseen := _unseen(settings, space):
        said.append(unseen)
    if said and (advice := cls.advice(evaluator_config)):
        where = "" if settings.space == SearchConfig.space else f" --space {settings.space}"
        target = f"--target-flops {format_amount(settings.target_flops)}"
        said.append(f"For a real answer, on a GPU: nas-search {target}{where} {advice}")
    return [". ".join(said)] if said else []


def _unseen(settings: SearchConfig, space: Space) -> str:
    """Choices that make no difference to what is measured."""
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    unseen = invisible(space, functools.partial(cls.measured, evaluator_config))
    return f"The evaluator cannot tell apart {', '.join(unseen)}" if unseen else ""


def worked(run: StudyRun) -> list[str]:
    """How far the time that was given has reached."""
    if run.clock is None:
        return []
    done, planned = len(run.finished), run.clock.plan.trials
    counts = f"{done} of {planned} planned trials" if done < planned else f"{done} trials, {planned} were planned"
    times = (format_clock(round(seconds)) for seconds in (run.clock.worked, run.clock.seconds))
    return [f"{counts}; {' of '.join(times)} worked"]


def _extent(space: Space) -> str:
    """What only a space read from YAML knows of itself."""
    if not isinstance(space, SearchSpace):
        return ""
    low, high = space.macs_range()
    return f", {space.size:.2g} proposals, {format_amount(low)} to {format_amount(high)} MACs"


def result(run: StudyRun) -> list[str | Table]:
    """The best network next to the references, and where to find it.

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
    rewards = {}
    for name in in_order(run.references):
        known = network_of(run.history, run.settings, name)
        rewards[title(name, known)] = _add_row(table, study, title(name, known), known, run.references[name])
    better = ahead(best.reward or 0.0, rewards)
    trained = [t for t in run.finished if t.repeat_of is None]
    failed = sum(not t.ok for t in trained)
    seconds = sum(t.evaluation.seconds for t in trained if t.evaluation)
    done = "trained" if run.evaluator[0].trains else "evaluated"
    counts = f"{len(run.trials)} trials, {len(trained)} {done}, {failed} failed, {seconds:.0f} s of evaluation"
    notes = [better, *_inherited(run, study.architecture(best)), *_repeats(run), *_off_target(run.settings, best.macs)]
    files = [f"Best network: {run.path / 'best.yaml'}", f"Report: {run.path / 'report.html'}"]
    return ["", table, f"\n{counts}", *(note for note in notes if note), *files]


def next_steps(path: Path) -> list[str]:
    """What to do with the run that lies at `path`, a command each."""
    return [f"{what}: {command}" for what, command in commands(load(path))]


def _inherited(run: StudyRun, network: Architecture) -> list[str]:
    """How much of its parent's weights the best network began with."""
    checkpoint = checkpoint_of(run.settings)
    if checkpoint is None:
        return []
    from evaluator.shared.parent import Parent  # loads torch
    from search_space.builder import build_model

    cls, evaluator_config = run.evaluator
    classes = run.history.described.get("classes", network.classes)
    trained = dataclasses.replace(cls.measured(evaluator_config, network), classes=classes)
    found = Parent(*checkpoint, classes).give(build_model(trained), trained)
    return [f"The best network began with weights of {checkpoint[0]}: {found}"]


def _repeats(run: StudyRun) -> list[str]:
    """That fewer networks were compared than was asked for."""
    repeats = sum(trial.repeat_of is not None for trial in run.finished)
    if not repeats:
        return []
    why = "of the searched band that were found" if run.settings.band else "that were found"
    return [f"{repeats} of {len(run.finished)} trials repeat a network that was tried before: no others {why}"]


def _off_target(settings: SearchConfig, macs: int) -> list[str]:
    """That the answer sits on the floor of the searched band, and what holds the budget."""
    floor, ratio = settings.band[0] if settings.band else 1.0, macs / settings.target_flops
    if settings.objective.alpha == 0 or floor >= HELD or ratio > floor + AT_FLOOR * (1 - floor):
        return []  # with a slope of 0 below the target, accuracy alone counts there: being cheap won nothing
    kind = settings.objective.kind
    other = "" if kind == "absolute" else "--objective absolute, or "
    return [
        f"It costs {ratio:.0%} of the target, on the floor of the searched band ({floor:.0%}): the {kind} objective "
        f"made cheaper networks win. What holds the budget: {other}--set band=[{HELD},{2 - HELD:g}]"
    ]


def _add_row(table: Table, study: Study, name: str, architecture: Architecture, evaluation: Evaluation) -> float | None:
    """Adds what is known of a network; its reward, if it has one."""
    cost = count(architecture)
    if evaluation.accuracy is None:
        table.add_row(name, evaluation.status, f"{cost.macs:,}", f"{cost.params:,}", "-")
        return None
    reward = study.objective.reward(evaluation.accuracy, cost.macs, evaluation.latency_ms)
    table.add_row(name, f"{evaluation.accuracy:.2%}", f"{cost.macs:,}", f"{cost.params:,}", f"{reward:.4f}")
    return reward
