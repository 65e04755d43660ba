"""One controller searching a tabular benchmark once: the study's own loop, with a journal that forgets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.timed import Timed
from evaluator.base import Evaluator
from evaluator.objective import Objective
from nas import config
from nas.config import Component
from nas.engines.local import LocalEngine
from nas.journal import Event, Journal
from nas.problem import make_problem
from nas.study import Study
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Tokens, canonical
from search_space.space import find_space

DEFAULT_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What is searched, as values that travel to worker processes."""

    space: str
    """A space's name, YAML file or ``package.module:OBJECT``."""
    evaluator: Component
    objective: Objective
    controllers: Mapping[str, Component]
    """By the names that the table calls them."""
    noise: float
    """Standard deviation of an evaluation's accuracy, in [0, 1]."""
    trials: int
    batch: int | None
    """Proposals between two updates; None for each controller's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one search found."""

    controller: str
    seed: int
    best: tuple[float, ...]
    """True (noise-free) reward of the incumbent after each trial; the incumbent is the best by what was measured.
    0 before there is one."""
    tokens: Tokens
    """The incumbent at the end."""
    beats_reference_at: int | None
    """First trial with a higher true reward than the reference network at no more MACs; None for never, or none."""
    seconds_per_trial: float
    """Time in the controller, ask and tell together, over the trials."""


class Bench:
    """The parts of a benchmark, made once a process."""

    def __init__(self, benchmark: Benchmark) -> None:
        config.use_one_thread()
        self.benchmark = benchmark
        self.space = find_space(benchmark.space)
        self.problem = make_problem(self.space, benchmark.objective, None)
        cls, settings = config.make("evaluator", benchmark.evaluator)
        self.exact: Evaluator[Any] = cls(settings)
        self.measured = self.exact
        if benchmark.noise:
            self.measured = cls(cls.with_noise(settings, benchmark.noise))

    def reward(self, architecture: Architecture) -> float:
        """The true reward of a network; that of accuracy 0 where the benchmark does not know it."""
        accuracy = self.exact.evaluate(architecture, 0).accuracy or 0.0
        return self.benchmark.objective.reward(accuracy, count(architecture).macs)

    def reference(self, architecture: Architecture) -> tuple[float, int] | None:
        """Reward and MACs of a network to beat; None where the benchmark does not know it."""
        if self.exact.evaluate(architecture, 0).accuracy is None:
            return None
        return self.reward(architecture), count(architecture).macs

    def run(self, name: str, seed: int, reference: tuple[float, int] | None) -> Run:
        """One search.

        Args:
            name: One of the benchmark's controllers.
            seed: The run's seed.
            reference: Reward and MACs of the network to beat; None for none.
        """
        benchmark = self.benchmark
        cls, settings = config.make("controller", benchmark.controllers[name])
        controller = Timed(cls(self.problem, settings, seed))
        study = Study(
            space=self.space,
            objective=benchmark.objective,
            controller=controller,
            journal=_NoJournal(),
            num_trials=benchmark.trials,
            batch_size=getattr(settings, "batch", DEFAULT_BATCH) if benchmark.batch is None else benchmark.batch,
            seed=seed,
        )
        best: list[float] = []
        incumbent, measured, true, beats = None, -math.inf, 0.0, None
        for trial in study.run(LocalEngine(self.measured)):
            if trial.ok and trial.reward is not None and trial.reward > measured:
                incumbent, measured = trial, trial.reward
                true = self.reward(study.architecture(trial))
                if beats is None and reference and true > reference[0] and trial.macs <= reference[1]:
                    beats = trial.number + 1
            best.append(true)
        return Run(
            controller=name,
            seed=seed,
            best=tuple(best),
            tokens=incumbent.tokens if incumbent else (),
            beats_reference_at=beats,
            seconds_per_trial=controller.seconds / max(1, len(best)),
        )

    def climb(self, tokens: Tokens) -> float:
        """The best true reward that changing one or two decisions at a time can reach from `tokens`."""
        best = self.reward(self.space.decode(tokens))
        while True:
            rewards = {other: self.reward(self.space.decode(other)) for other in self._neighbours(tokens)}
            top = max(rewards, key=lambda other: rewards[other])
            if rewards[top] <= best:
                return best
            tokens, best = top, rewards[top]

    def _neighbours(self, tokens: Tokens) -> set[Tokens]:
        decisions = self.space.decisions
        changes = [(i, token) for i, decision in enumerate(decisions) for token in range(len(decision.choices))]
        found = set()
        for pair in itertools.combinations_with_replacement(changes, 2):
            other = list(tokens)
            for i, token in pair:
                other[i] = token
            found.add(canonical(decisions, other))
        return found - {tokens}


class _NoJournal(Journal):
    """A journal of a run that nobody resumes."""

    def __init__(self) -> None:
        self.path = Path("benchmark")

    def append(self, event: Event) -> None:
        """Nothing is kept."""

    def events(self) -> Iterator[Event]:
        """Nothing was kept."""
        return iter(())
