"""``nas-trust``: what a search's answer is worth, measured on the search's own networks.

Seeds against networks, rank correlation with longer training beside the parameter count's, random networks, the winner
against the reference: as far as a budget reaches. Everything is journaled in the run's directory, so a report that
was stopped goes on, and one with a larger budget adds to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from controller.base import Controller, Outcome, Problem, Signals
from nas import cli, config, run_record
from nas.config import SearchConfig
from nas.engines import options
from nas.engines.base import Engine
from nas.files import write_atomic
from nas.halving import CandidateSpace
from nas.journal import Journal
from nas.problem import make_problem
from nas.run_dir import JOURNAL, REFERENCE
from nas.run_record import RunRecord
from nas.study import Study, Trial
from nas.trust_finding import conclude, lines
from nas.trust_plan import LONGER, MOST_SEEDS, cost, make_plan
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, Tokens, sample_tokens
from search_space.errors import InputError, NasError
from search_space.scaling import scale
from search_space.seeding import derive_seed

DESCRIPTION = """\
Say what a finished search's answer is worth, by training some of its networks again and longer.

  nas-trust runs/mine                  spend 20 % of what the search's trainings cost
  nas-trust runs/mine --budget 300%    enough for every part of the report

Goes on where an earlier report stopped. Exit codes: 0 done, 1 nothing to report, 2 wrong input, 130 interrupted.
"""
REPORT = "trust.txt"
DEFAULT_BUDGET = "20%"
ENOUGH = 3.0
"""Share that reaches every part of the report for some two dozen networks."""
LEAST = 3
"""Networks with an accuracy below which there is no ranking to speak of."""
NEAR = 0.05
"""The reference is scaled where its MACs are further than this from the target."""
OVERRUN = 1.25
"""Trainings may take this many times the budget before the report makes do with what is finished."""


class Planned(Controller[None]):
    """Proposes what is planned and was not told yet."""

    def __init__(self, problem: Problem, plan: Sequence[Tokens]) -> None:
        super().__init__(problem, None, 0)
        self._plan = plan
        self._told: set[Tokens] = set()

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """All that is left, in the order of the plan."""
        return [tokens for tokens in self._plan if tokens not in self._told][:count]

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """Tick off."""
        self._told.update(outcome.tokens for outcome in outcomes)
        return {}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-trust``."""
    return cli.run(lambda: _main(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-trust", DESCRIPTION)
    parser.add_argument("run", type=Path, metavar="RUN", help="the search's directory")
    parser.add_argument("--budget", default=DEFAULT_BUDGET, metavar="SHARE", help="of the search's training time")
    options.add_arguments(parser)
    return parser


def _main(args: argparse.Namespace) -> int:
    budget = parse_share(args.budget, "--budget")
    record = run_record.load(args.run)
    if not record.config or record.objective is None or record.space is None or "baseline" in record.config:
        raise InputError(f"{args.run}: not a search whose networks can be built: {' '.join(record.notices) or 'empty'}")
    settings = config.resolve([record.config])
    config.use_one_thread()
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    with closing(options.make_engine(args, cls, evaluator_config, args.run)) as engine:
        return report(record, settings, engine, budget)


def after_search(path: Path, settings: SearchConfig, engine: Engine, budget: float) -> None:
    """Report on a search that has just ended, where it has networks enough."""
    record = run_record.load(path)
    if len(measured(record.trials)) >= LEAST:
        report(record, settings, engine, budget)


def parse_share(text: str, name: str) -> float:
    """0.2 from ``20%``.

    Raises:
        InputError: Not a percentage from 0 to 10,000.
    """
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else -1.0
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise InputError(f"{name}: expected a percentage of the search's training time such as 20%, got {text!r}")
    return share


def report(record: RunRecord, settings: SearchConfig, engine: Engine, budget: float) -> int:
    """Announce the cost, measure, print and keep the report.

    Args:
        record: The search, read.
        settings: The search's.
        engine: Runs the trainings.
        budget: Share of the search's training time.

    Raises:
        NasError: Fewer than `LEAST` networks have an accuracy.
    """
    trials = measured(record.trials)
    if len(trials) < LEAST:
        raise NasError(f"{record.path}: {len(trials)} networks with an accuracy; a trust report needs {LEAST}")
    rewards = [scored(trial, settings) for trial in trials]
    each = float(np.mean([trial.evaluation.seconds for trial in trials if trial.evaluation]))
    winner = [trial.key for trial in trials].index(record.best.key) if record.best else 0
    plan = make_plan(rewards, budget * len(trials), winner)
    more = f"nas-trust {record.path} --budget {ENOUGH if budget < ENOUGH else 2 * budget:.0%}"
    if not plan.proposals():
        cli.say(f"Trust: not measured, {budget:.0%} of {len(trials)} trainings is too little; {more}")
        return cli.DONE
    folder = record.path / f"trust-{len(record.trials)}"
    folder.mkdir(exist_ok=True)
    space = candidates(record, trials, settings)
    with Journal(folder / JOURNAL) as journal:
        study = _study(space, plan.proposals(), journal, settings)
        missing = [t for t in plan.proposals() if t not in {r.tokens for r in study.trials if r.evaluation}]
        cli.say(
            f"Trust report: {len(missing)} trainings, about {cost(missing) * each:.0f} s "
            f"({budget:.0%} of the search's {each * len(trials):.0f} s)"
        )
        _measure(study, engine, OVERRUN * budget * each * len(trials), record.path)
        results = {t.tokens: t.reward for t in study.trials if t.ok and t.reward is not None}
    finding = conclude(plan, results, rewards, [trial.params for trial in trials], settings.seed)
    text = lines(finding, _reference_name(settings.target_flops), more)
    write_atomic(record.path / REPORT, "\n".join(text) + "\n")
    cli.say("\n".join(text))
    return cli.DONE


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
    base = Architecture.load(REFERENCE)
    if abs(count(base).macs / target - 1) <= NEAR:
        return base
    widths = [scale(base, i / 20, 1.0, base.resolution) for i in range(3, 81)]
    return min(widths, key=lambda network: abs(count(network).macs - target))


def _reference_name(target: int) -> str:
    return REFERENCE if scaled_reference(target) == Architecture.load(REFERENCE) else f"{REFERENCE} (width scaled)"


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
        measurement=space.measurement,
    )
    known = {trial.tokens for trial in study.trials}
    study.num_trials = len(study.trials) + sum(tokens not in known for tokens in plan)
    return study


def _measure(study: Study, engine: Engine, seconds: float, run: Path) -> None:
    """Run what is left, within the budget."""
    spent = sum(t.evaluation.seconds for t in study.trials if t.evaluation)
    if spent > seconds:
        return
    try:
        for trial in study.run(engine):
            spent += trial.evaluation.seconds if trial.evaluation else 0.0
            if spent > seconds:
                cli.say("Stopped at the budget: trainings took longer than in the search")
                return
    except KeyboardInterrupt:
        cli.say(f"Stopped; nothing finished is lost. To go on: nas-trust {run}")
        raise
