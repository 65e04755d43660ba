"""What a search's answer is worth, measured on the search's own networks.

Seeds against networks, rank correlation with longer training beside the parameter count's, random networks, the winner
against the reference: as far as a budget reaches. Everything is journaled in the run's directory, so a report that
was stopped goes on, and one with a larger budget adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from controller.planned import Planned
from nas.config import SearchConfig
from nas.engines.base import Engine
from nas.grid.candidates import CandidateSpace
from nas.history import Trial
from nas.journal import Journal
from nas.problem import make_problem
from nas.runs import record as run_record
from nas.runs.directory import JOURNAL, REFERENCE_NETWORK
from nas.runs.header import trust_flag
from nas.runs.record import RunRecord
from nas.study import Study
from nas.trust.finding import figures, lines
from nas.trust.plan import LONGER, MOST_SEEDS, cost, make_plan
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, Tokens, sample_tokens
from search_space.errors import NasError
from search_space.io.files import write_atomic
from search_space.scaling import scale
from search_space.seeding import derive_seed

REPORT = "trust.txt"
Say = Callable[[str], None]
DEFAULT_BUDGET = "20%"
ENOUGH = 3.0
"""Share that reaches every part of the report for some two dozen networks."""
LEAST = 3
"""Networks with an accuracy below which there is no ranking to speak of."""
NEAR = 0.05
"""The reference is scaled where its MACs are further than this from the target."""
OVERRUN = 1.25
"""Trainings may take this many times the budget before the report makes do with what is finished."""


def after_search(path: Path, settings: SearchConfig, engine: Engine, budget: float, say: Say) -> None:
    """Report on a search that has just ended, where it has networks enough."""
    record = run_record.load(path)
    if len(measured(record.trials)) >= LEAST:
        report(record, settings, engine, budget, say)


def report(record: RunRecord, settings: SearchConfig, engine: Engine, budget: float, say: Say) -> None:
    """Announce the cost, measure, print and keep the report.

    Args:
        record: The search, read.
        settings: The search's.
        engine: Runs the trainings.
        budget: Share of the search's training time.
        say: Takes each line for the user.

    Raises:
        NasError: Fewer than `LEAST` networks have an accuracy.
    """
    trials = measured(record.trials)
    if len(trials) < LEAST:
        raise NasError(f"{record.path}: {len(trials)} networks with an accuracy; a trust report needs {LEAST}")
    rewards = [scored(trial, settings) for trial in trials]
    each = float(np.mean([trial.evaluation.seconds for trial in trials if trial.evaluation]))
    winner = [trial.key for trial in trials].index(record.best_trial.key) if record.best_trial else 0
    plan = make_plan(rewards, budget * len(trials), winner)
    command = f"nas-trust {record.path}{trust_flag(record.config)}"
    more = f"{command} --budget {ENOUGH if budget < ENOUGH else 2 * budget:.0%}"
    if not plan.proposals():
        say(f"Trust: not measured, {budget:.0%} of {len(trials)} trainings is too little; {more}")
        return
    folder = record.path / f"trust-{len(record.trials)}"
    folder.mkdir(exist_ok=True)
    space = candidates(record, trials, settings)
    with Journal(folder / JOURNAL) as journal:
        study = _study(space, plan.proposals(), journal, settings)
        missing = [t for t in plan.proposals() if t not in {r.tokens for r in study.trials if r.evaluation}]
        say(
            f"Trust report: {len(missing)} trainings, about {cost(missing) * each:.0f} s "
            f"({budget:.0%} of the search's {each * len(trials):.0f} s)"
        )
        _measure(study, engine, OVERRUN * budget * each * len(trials), command, say)
        results = {t.tokens: t.reward for t in study.trials if t.ok and t.reward is not None}
    finding = figures(plan, results, rewards, [trial.params for trial in trials], settings.seed)
    text = lines(finding, _reference_name(settings.target_flops), more)
    write_atomic(record.path / REPORT, "\n".join(text) + "\n")
    say("\n".join(text))


def measured(trials: Sequence[Trial]) -> list[Trial]:
    """The first measurement of every network that has an accuracy."""
    first: dict[str, Trial] = {}
    for trial in trials:
        if trial.ok and trial.repeat_of is None:
            first.setdefault(trial.key, trial)
    return list(first.values())


def scored(trial: Trial, settings: SearchConfig) -> float:
    """A trial's reward; without latency, which is not measured again here."""
    assert trial.evaluation is not None
    assert trial.reward is not None
    if settings.objective.target_latency_ms is None:
        return trial.reward
    return settings.objective.reward(trial.evaluation.accuracy or 0.0, trial.macs)


def candidates(record: RunRecord, trials: Sequence[Trial], settings: SearchConfig) -> CandidateSpace:
    """The reference, the search's networks, and as many random ones of the search's band."""
    space = record.space
    assert space is not None
    networks = [space.decode(trial.tokens) for trial in trials]
    control = random_networks(space, settings, len(networks))
    reference = scaled_reference(settings.target_flops)
    return CandidateSpace(f"trust in {space.name}", [reference, *networks, *control], (1, LONGER), MOST_SEEDS)


def random_networks(space: Space, settings: SearchConfig, number: int) -> list[Architecture]:
    """Random networks of the search's band.

    Raises:
        NasError: Too few are found within the bound on tries.
    """
    admissible = make_problem(space, settings.objective, settings.band).admissible
    generator = np.random.default_rng(derive_seed(settings.seed, "trust", "random"))
    found: list[Architecture] = []
    for _ in range(1000 * number):
        tokens = sample_tokens(space.decisions, generator)
        if admissible(tokens):
            found.append(space.decode(tokens))
        if len(found) == number:
            return found
    raise NasError(f"only {len(found)} of {1000 * number:,} random networks lie in the band; widen it")


def scaled_reference(target: int) -> Architecture:
    """EfficientNet-B0, made wider or narrower where its cost is far from the target."""
    base = Architecture.load(REFERENCE_NETWORK)
    if abs(count(base).macs / target - 1) <= NEAR:
        return base
    widths = [scale(base, i / 20, 1.0, base.resolution) for i in range(3, 81)]
    return min(widths, key=lambda network: abs(count(network).macs - target))


def _reference_name(target: int) -> str:
    return (
        REFERENCE_NETWORK
        if scaled_reference(target) == Architecture.load(REFERENCE_NETWORK)
        else f"{REFERENCE_NETWORK} (width scaled)"
    )


def _study(space: CandidateSpace, plan: Sequence[Tokens], journal: Journal, settings: SearchConfig) -> Study:
    """The study of a plan, with what its journal holds of it."""
    study = Study(
        space=space,
        objective=settings.objective,
        controller=Planned(make_problem(space, settings.objective, None), plan),
        journal=journal,
        num_trials=0,
        batch_size=len(plan),
        seed=derive_seed(settings.seed, "trust"),
    )
    known = {trial.tokens for trial in study.trials}
    study.num_trials = len(study.trials) + sum(tokens not in known for tokens in plan)
    return study


def _measure(study: Study, engine: Engine, seconds: float, command: str, say: Say) -> None:
    """Run what is left, within the budget."""
    spent = sum(t.evaluation.seconds for t in study.trials if t.evaluation)
    if spent > seconds:
        return
    try:
        for trial in study.run(engine):
            spent += trial.evaluation.seconds if trial.evaluation else 0.0
            if spent > seconds:
                say("Stopped at the budget: trainings took longer than in the search")
                return
    except KeyboardInterrupt:
        say(f"Stopped; nothing finished is lost. To go on: {command}")
        raise
