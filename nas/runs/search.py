"""A search and the directory that it leaves: what `nas-search` and `nas.create_study` run alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from controller.base import Controller, Outcome
from controller.promoting import Promoting
from evaluator.base import Evaluation
from evaluator.function import as_evaluation
from nas import config
from nas.async_study import AsyncStudy
from nas.config import TOLD, SearchConfig
from nas.engines.base import Engine
from nas.engines.make import EngineOptions, make_engine
from nas.history import History, Trial
from nas.journal import refuse_link
from nas.problem import make_problem
from nas.runs import directory, promotion, warm_start
from nas.runs.base import Run
from nas.runs.clock import Clock
from nas.runs.deployment import load_space
from nas.runs.promotion import PromotingSpace
from nas.runs.references import reference_networks
from nas.runs.time_plan import Plan
from nas.study import Study
from search_space.decision import Space
from search_space.errors import InputError
from search_space.io import named, schema
from search_space.io.files import write_atomic

WEIGHTS = "weights"
"""Where trainings that may be continued leave their state."""
SHARED_WEIGHTS = "shared.pt"
"""Where the weights that all networks share are kept."""


class StudyRun(Run):
    """A search that goes on in this process. Use as a context manager, or call `close`.

    Attributes:
        settings: The resolved config.
        study: The loop.
        evaluator: The evaluator's class and config.
        clock: How long was worked on a run that was given a time; None on others.
    """

    def __init__(
        self,
        path: Path,
        settings: SearchConfig,
        earlier: Sequence[Outcome] = (),
        plan: Plan | None = None,
        started: float | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Open the run's directory, new or to go on with; the weights that its networks share are trained first.

        Args:
            path: The run's directory; the caller has made sure that it may be written.
            settings: The resolved config.
            earlier: Results of other runs, for the controller to learn from before its first batch; in a new run.
            plan: What was planned for the time of a new run.
            started: `time.monotonic()` when the work began; None for now.
            say: Told how far the training of shared weights is.

        Raises:
            InputError: No such space, a target outside it, another process writes to the run, or its journal is
                damaged or another's.
        """
        from nas.runs import sharing  # loads torch

        config.use_one_thread()
        space = load_space(settings)
        self.path = path
        self.settings, self.seed = settings, settings.seed
        self._turn, self._searching = threading.RLock(), False
        self.evaluator = evaluator_of(settings, path)
        shared = sharing.shared_config(settings, space) if settings.share else None
        self._journal = directory.open_journal(path, settings, schema.to_plain(plan) if plan else None)
        try:
            if earlier:  # before anything that takes long: a run that goes on is not told of them again
                self._journal.append(warm_start.to_event(earlier))
            weights = path / SHARED_WEIGHTS
            loss = sharing.prepare(settings, shared, space, weights, self._journal, say) if shared else None
            cls, own = config.make("controller", settings.controller)
            problem = make_problem(space, settings.objective, settings.band, loss)
            controller: Controller[Any] = cls(problem, own, settings.seed)
            if settings.promote:
                controller, space = Promoting(controller), PromotingSpace(space, settings.promote)
            self.space: Space = space
            self.study = (AsyncStudy if settings.asynchronous else Study)(
                space=space,
                objective=settings.objective,
                controller=controller,
                journal=self._journal,
                num_trials=settings.trials,
                batch_size=settings.batch,
                seed=settings.seed,
            )
            self.study.shared_loss = loss if self.evaluator[0].trains else None  # else it is the accuracy itself
            self._record_evaluator()
            self.clock = self._start_clock(time.monotonic() if started is None else started)
        except BaseException:
            self._journal.close()
            raise

    @property
    def history(self) -> History:  # type: ignore[override]
        """All that the journal says."""
        return self.study.history

    def run(self, engine: Engine) -> Iterator[Trial]:
        """Search until all trials are finished, yielding each as it finishes; exports whenever there is a new best.

        The known networks are evaluated at the end, beside the best one.
        """
        if self.clock:
            self.clock.workers = engine.workers
        directory.record_description(self.study, engine)
        self._searching = True
        try:
            for trial in self._search(engine):
                if trial == self.study.best:
                    self.export()
                if self.settings.promote:
                    promotion.prune(self.path / WEIGHTS, self.study, self.settings.top)
                yield trial
            if self.study.best is not None:
                known = reference_networks(self.settings, self.study.best.macs)
                follow = self.settings.classes is not None
                self.study.evaluate_references(known, engine, self.settings.promote or 1, follow=follow)
            if self.settings.promote:
                promotion.remove(self.path / WEIGHTS)
        finally:
            self._searching = False
            self.export()

    def _start_clock(self, started: float) -> Clock | None:
        if self.settings.time is None:
            return None
        plan = schema.from_mapping(Plan, self.history.plan, f"{self._journal.path}, plan")
        clock = Clock(self.study, plan, self.settings.time, started)
        self.study.has_time = clock.has_time
        return clock

    def _search(self, engine: Engine) -> Iterator[Trial]:
        """The trials of the settings; with a time, as far as it reaches, and more where the user does not say how many.

        Batches stay whole: the same seed and plan propose the same networks as far as the time lets them.
        """
        yield from self.study.run(engine)
        if self.clock is None:
            return
        before = -1
        while before < len(self.trials) and self.clock.wants_more():
            before = len(self.trials)
            self.study.num_trials = before + self.study.batch_size
            yield from self.study.run(engine)
        if self.history.ended != len(self.trials):
            self.study.record({"event": "ended", "trials": len(self.trials)})

    def optimize(
        self,
        evaluator: Any = None,
        trials: int | None = None,
        *,
        workers: int | None = 1,
        on_trial: Callable[[Trial], None] | None = None,
    ) -> Trial | None:
        """Search until the run has so many trials; what was evaluated before counts.

        Args:
            evaluator: ``function(architecture, seed)`` that returns an accuracy or an `Evaluation`, a subclass of
                `Evaluator`, or an evaluator's name; None for the settings'.
            trials: Networks to propose in all; None for as many as the settings say.
            workers: 1 evaluates in this process, more in as many Ray workers; None takes all that fit.
            on_trial: Called with each trial as it finishes.

        Returns:
            The best trial; None if none succeeded.

        Raises:
            InputError: The run was evaluated otherwise before, or there is no such evaluator.
        """
        if evaluator is not None:
            self.use_evaluator(evaluator)
        if trials is not None:
            self.study.num_trials = trials
        asked = EngineOptions(workers=workers)
        with closing(make_engine(asked, *self.evaluator)) as engine:
            for trial in self.run(engine):
                if on_trial:
                    on_trial(trial)
        return self.best_trial

    def use_evaluator(self, evaluator: Any) -> None:
        """Evaluate so from here on, and remember it.

        Raises:
            InputError: The run was evaluated otherwise before, or there is no such evaluator.
        """
        name = evaluator if isinstance(evaluator, str) else named.name_of(evaluator)
        component = config.component("evaluator", {"name": name})
        before = self.settings.evaluator
        if component != before:
            if before.name != TOLD and self.finished:
                raise InputError(f"evaluator {name}: {self.path} was evaluated with {before.name}")
            self.settings = replace(self.settings, evaluator=component)
        self.evaluator = evaluator_of(self.settings, self.path)
        self._record_evaluator()

    def _record_evaluator(self) -> None:
        """Note what takes the place of results that were told."""
        evaluator = config.to_plain(self.settings)["evaluator"]
        if evaluator["name"] != self.history.config.get("evaluator", evaluator)["name"]:
            write_atomic(self.path / "config.yaml", config.to_yaml(self.settings))
            self.study.record({"event": "evaluator", "evaluator": evaluator})

    def ask(self) -> Trial | None:
        """A trial for the caller to evaluate, `architecture(trial)`; see `nas.study.Study.ask`.

        Raises:
            InputError: Trainings are to be continued, for which a batch must be told whole before the next.
        """
        if self.settings.promote:
            raise InputError("promote needs whole batches: search with optimize, or leave promote out")
        with self._by_hand():
            return self.study.ask()

    @contextmanager
    def _by_hand(self) -> Iterator[None]:
        """One thread at a time, and none while the search itself proposes and finishes trials."""
        with self._turn:
            if self._searching:
                raise InputError("the search goes on by itself: ask and tell before or after it")
            yield

    def tell(self, trial: Trial | int, accuracy: float | Evaluation | None = None, *, failure: str = "") -> Trial:
        """What the caller found of a trial that `ask` gave, in any order.

        Args:
            trial: The trial or its number.
            accuracy: Validation accuracy in [0, 1], or a whole `Evaluation`; None where there is none.
            failure: Why there is none.

        Returns:
            The finished trial, with its reward.

        Raises:
            InputError: No such trial, finished already, or no accuracy and no reason.
        """
        number = trial if isinstance(trial, int) else trial.number
        if accuracy is None:
            found = Evaluation(status="failed", reason=failure)
        else:
            found = as_evaluation(accuracy, 0.0)
        with self._by_hand():
            finished = self.study.tell(number, found)
            self.export()
        return finished

    def export(self) -> None:
        """Write best.yaml, top/*.yaml and trials.csv of what is finished so far."""
        directory.export(self, self.study, self.settings)

    def close(self) -> None:
        """Let others write to the run."""
        if self.clock:
            self.clock.close()
        self._journal.close()

    def __enter__(self) -> StudyRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def evaluator_of(settings: SearchConfig, path: Path) -> tuple[Any, Any]:
    """The class of a search's evaluator, and its config in this run's directory.

    Raises:
        InputError: Trainings are to be continued, and it cannot do that.
    """
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    if settings.promote:
        refuse_link(path / WEIGHTS)
        evaluator_config = cls.keeping(evaluator_config, (path / WEIGHTS).absolute())
    if settings.share:
        evaluator_config = cls.with_weights(evaluator_config, (path / SHARED_WEIGHTS).absolute())
    return cls, evaluator_config
