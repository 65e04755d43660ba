"""What a search's answer is worth, measured on the search's own networks.

Seeds against networks, rank correlation with longer training beside that of parameters and MACs, the winner against the
reference at equal cost: as far as a budget reaches. Everything is journaled in the run's directory, so a report that
was stopped goes on, and one with a larger budget adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nas import config
from nas.config import SearchConfig
from nas.engines.base import Engine
from nas.grid.candidates import CandidateSpace
from nas.history import Trial
from nas.runs.base import Run, free_scores, measured
from nas.runs.directory import TRUST, trust_title
from nas.runs.header import trust_flag
from nas.runs.references import comparable, title
from nas.statistics import at_chance
from nas.study import Study
from nas.trust.candidates import missing, planned_study
from nas.trust.finding import Searched, figures, lines
from nas.trust.plan import LONGER, MOST_SEEDS, Plan, cost, enough, make_plan
from search_space.architecture import Architecture
from search_space.decision import Tokens
from search_space.errors import NasError, one_line
from search_space.io.files import write_atomic

Say = Callable[[str], None]
DEFAULT_BUDGET = "20%"
LEAST = 3
"""Networks with an accuracy below which there is no ranking to speak of."""
OVERRUN = 1.25
"""Trainings may take this many times the budget before the report makes do with what is finished."""


def after_search(run: Run, settings: SearchConfig, engine: Engine, budget: float, say: Say) -> None:
    """Report on a search that has just ended, where there is something to say; what fails is said and harms nothing."""
    if not trains(settings) or (len(measured(run.trials)) < LEAST and not guesses(run)):
        return
    try:
        report(run, settings, engine, budget, say)
    except (NasError, OSError) as error:
        say(f"No trust report: {one_line(str(error))}")


def report(run: Run, settings: SearchConfig, engine: Engine, budget: float, say: Say) -> None:
    """Announce the cost, measure, print and keep the report.

    Args:
        run: The search, as it goes on here or as it was read.
        settings: The search's.
        engine: Runs the trainings.
        budget: Share of the search's training time.
        say: Takes each line for the user.

    Raises:
        NasError: Fewer than `LEAST` networks have an accuracy, and not that of chance; or the evaluator trains nothing.
    """
    if not trains(settings):
        name = settings.evaluator.name
        raise NasError(f"{run.path}: evaluator {name} trains nothing, so longer training cannot say what it is worth")
    trials = measured(run.trials)
    if len(trials) < LEAST and not guesses(run):
        raise NasError(f"{run.path}: {len(trials)} networks with an accuracy; a trust report needs {LEAST}")
    searched = Searched(
        accuracies=[accuracy(trial) for trial in trials],
        rewards=[scored(trial, settings) for trial in trials],
        free=free_scores(trials),
        at_chance=guesses(run),
    )
    winner = [trial.key for trial in trials].index(run.best_trial.key) if run.best_trial else 0
    name, reference = reference_for(run, settings, trials[winner].macs)
    plan = make_plan(searched.accuracies, searched.rewards, budget * len(trials), winner)
    command = f"nas-trust {run.path}{trust_flag(run.history.config)}"
    units = enough(searched.accuracies, searched.rewards, winner)
    more = f"{len(trials)} networks are too few to measure more"
    if units is not None:
        share = units / len(trials)
        more = f"to measure more: {command} --budget {max(share, 2 * budget if budget >= share else 0):.0%}"
    results = {}
    if not searched.at_chance:
        if not plan.proposals():
            say(f"Trust: not measured, {budget:.0%} of {len(trials)} trainings is too little; {more}")
            return
        networks = [reference, *(run.architecture(trial) for trial in trials)]
        results = _train(run, settings, plan, networks, engine, budget, command, say)
    finding = figures(plan, results, searched, settings.seed)
    text = lines(finding, title(name, reference), more)
    write_atomic(run.path / TRUST, "\n".join([trust_title(len(run.trials)), *text]) + "\n")
    say("\n".join(text))


def _train(
    run: Run,
    settings: SearchConfig,
    plan: Plan,
    networks: Sequence[Architecture],
    engine: Engine,
    budget: float,
    command: str,
    say: Say,
) -> dict[Tokens, float]:
    """Run what is left of a plan within the budget; the accuracy of every training that is finished."""
    trials = measured(run.trials)
    each = float(np.mean([trial.evaluation.seconds for trial in trials if trial.evaluation]))
    space = CandidateSpace(f"trust in {settings.space}", networks, (1, LONGER), MOST_SEEDS)
    proposals = plan.proposals()
    with planned_study(run.path, ("trust", str(len(run.trials))), space, proposals, settings) as study:
        left = missing(study, proposals)
        say(
            f"Trust report: {len(left)} trainings, about {cost(left) * each:.0f} s "
            f"({budget:.0%} of the search's {each * len(trials):.0f} s)"
        )
        _measure(study, engine, OVERRUN * budget * each * len(trials), command, say)
        return {t.tokens: accuracy(t) for t in study.trials if t.ok}


def trains(settings: SearchConfig) -> bool:
    """Whether a search's evaluator trains networks: what a table or a formula says, no training of ours can check."""
    cls, _ = config.load_class("evaluator", settings.evaluator.name)
    return bool(cls.trains)


def guesses(run: Run) -> str:
    """Why a run's accuracies are those of guessing; empty where they are not, or nobody knows."""
    return at_chance([accuracy(trial) for trial in measured(run.trials)], run.history.described)


def accuracy(trial: Trial) -> float:
    """Of a trial that has one."""
    assert trial.evaluation is not None
    assert trial.evaluation.accuracy is not None
    return trial.evaluation.accuracy


def scored(trial: Trial, settings: SearchConfig) -> float:
    """A trial's reward; without latency, which is not measured again here."""
    assert trial.evaluation is not None
    assert trial.reward is not None
    if settings.objective.target_latency_ms is None:
        return trial.reward
    return settings.objective.reward(trial.evaluation.accuracy or 0.0, trial.macs)


def reference_for(run: Run, settings: SearchConfig, macs: int) -> tuple[str, Architecture]:
    """EfficientNet-B0 at no fewer MACs than the winner's, with the better of its strides; its name in the journal.

    Where a checkpoint is inherited from, the first of its networks.
    """
    return next(iter(comparable(settings, macs, run.references).items()))


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
