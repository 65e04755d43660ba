"""Evaluations as Ray Tune trials, on this machine's cores and GPUs or on a cluster.

One Tuner.fit lives as long as the engine, in a thread of its own, and is fed through queues: starting one for every
batch would cost seconds each time. Tune keeps no memory that matters: nothing of it is saved or restored, the journal
is what a run resumes from. Three things Tune does not do by itself are done here:

- Workers stay warm between batches. Tune ends an actor that has no next trial waiting, so a finished trial is held
  (`TrialScheduler.NOOP`), with its actor, until the next job takes the actor over.
- A worker that hangs is killed from outside.
- A trial whose worker died is tried again as a new trial. Tune's own retries would not tell a worker's death from a
  timeout.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import queue
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from evaluator.base import Evaluation, Evaluator
from nas.engines.base import Engine, Job
from nas.engines.local import evaluate_safely
from nas.engines.ray_cluster import Cluster
from search_space import schema
from search_space.architecture import Architecture
from search_space.errors import InputError, NasError

_logger = logging.getLogger(__name__)
GRACE_SECS = 10.0
"""An evaluation that overruns its time by a tenth and this many seconds no longer minds its own clock: it is killed."""
_STOP_SECS = 8.0  # how long a close waits for Tune's loop before it ends Ray under it

MakeEvaluator = Callable[[], Evaluator[Any]]


@dataclass(slots=True)
class _Attempt:
    """A job on its way, and how often its workers died."""

    ticket: int
    job: Job
    failures: int = 0


class _Desk:
    """What Tune's thread knows; `todo`, `results` and `closing` are shared with the search's thread."""

    def __init__(self, workers: int, timeout: float | None, max_failures: int) -> None:
        self.workers = workers
        self.timeout = timeout
        self.max_failures = max_failures
        self.todo: queue.SimpleQueue[_Attempt] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[tuple[int, Evaluation] | None] = queue.SimpleQueue()
        self.closing = threading.Event()
        self.attempts: dict[str, _Attempt] = {}
        """Handed to Tune and not finished, by Tune's trial id."""
        self.starting: deque[Trial] = deque()
        """Trials without a worker yet."""
        self.held: deque[Trial] = deque()
        """Finished trials that keep their workers warm."""
        self.deadlines: dict[str, tuple[float, Any]] = {}
        """When to kill which actor, by trial id; all of them when the engine closes."""
        self.killed: set[str] = set()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Tuner pickles all it is given, to be restored from; this is never restored."""
        return _Desk, (self.workers, self.timeout, self.max_failures)

    def finish(self, attempt: _Attempt, evaluation: Evaluation) -> None:
        self.results.put((attempt.ticket, evaluation))

    def fail(self, attempt: _Attempt, error: str) -> None:
        """Try again, elsewhere, what a worker's death cut short; give up after so many deaths."""
        attempt.failures += 1
        if attempt.failures <= self.max_failures:
            _logger.info("trial %d: a worker died, trying again: %s", attempt.job.trial, _last_line(error))
            self.todo.put(attempt)
            return
        memory = "OutOfMemoryError" in error or "running low on memory" in error
        reason = f"its worker died {attempt.failures} times: {_last_line(error)}"
        self.finish(attempt, Evaluation(status="infeasible" if memory else "failed", reason=reason))


class _Feed(Searcher):
    """Hands jobs to Tune, at most one a worker."""

    def __init__(self, desk: _Desk) -> None:
        super().__init__()
        self.desk = desk

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next job as a trial's config, or None while there is none or no worker for it."""
        desk = self.desk
        if desk.closing.is_set():
            finished: Any = Searcher.FINISHED  # a str, which Ray's annotation forgets
            return finished  # type: ignore[no-any-return]
        # With warm workers, one job at a time: a second one waiting would make Tune start a new worker for it.
        if len(desk.attempts) >= desk.workers or (desk.held and desk.starting):
            return None
        try:
            attempt = desk.todo.get_nowait()
        except queue.Empty:
            return None
        desk.attempts[trial_id] = attempt
        return _to_config(attempt.job)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler has taken the result already, when it came."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is a run's memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is a run's memory."""


class _WarmWorkers(FIFOScheduler):
    """Takes results, keeps workers warm, and kills those that hang."""

    def __init__(self, desk: _Desk) -> None:
        super().__init__()
        self.desk = desk

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self.desk.starting.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Called in each step of Tune's loop: give a waiting trial a warm worker, else let Tune start one."""
        desk = self.desk
        self._kill_late()
        while desk.starting and desk.starting[0].status != Trial.PENDING:
            desk.starting.popleft()
        if not desk.starting:
            return None
        if desk.held:
            # Tune caches the actor of a trial that ends while another waits, and the waiting trial takes it.
            tune_controller.stop_trial(desk.held.popleft())
        return desk.starting.popleft()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self.desk.deadlines.pop(trial.trial_id, None)
        attempt = self.desk.attempts.pop(trial.trial_id)
        self.desk.finish(attempt, Evaluation.from_json(json.loads(result["evaluation"])))
        self.desk.held.append(trial)
        return str(TrialScheduler.NOOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        desk = self.desk
        desk.deadlines.pop(trial.trial_id, None)
        attempt = desk.attempts.pop(trial.trial_id, None)
        if attempt is None:
            return
        if trial.trial_id in desk.killed:
            seconds = (desk.timeout or 0.0) * attempt.job.fidelity
            reason = f"did not stop by itself after {seconds:g} s; its worker was killed"
            desk.finish(attempt, Evaluation(status="timeout", reason=reason, seconds=seconds))
        else:
            desk.fail(attempt, _error_text(trial))

    def _kill_late(self) -> None:
        """End workers that hang, and all of them when the engine closes."""
        now = time.monotonic()
        if self.desk.closing.is_set():
            now = math.inf
            while self.desk.held:
                actor = self.desk.held.popleft().temporary_state.ray_actor
                if actor is not None:
                    ray.kill(actor)
        late = [name for name, (deadline, _) in self.desk.deadlines.items() if deadline <= now]
        for trial_id in late:
            self.desk.killed.add(trial_id)
            ray.kill(self.desk.deadlines.pop(trial_id)[1])


class _Clock(Callback):
    """Notes when an evaluation starts, which is after its worker has loaded its data."""

    def __init__(self, desk: _Desk) -> None:
        self.desk = desk

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        attempt = self.desk.attempts.get(trial.trial_id)
        if attempt is not None:
            timeout = math.inf if self.desk.timeout is None else self.desk.timeout
            seconds = 1.1 * timeout * attempt.job.fidelity + GRACE_SECS
            self.desk.deadlines[trial.trial_id] = (time.monotonic() + seconds, trial.temporary_state.ray_actor)


class _Worker(tune.Trainable):
    """An actor: the evaluator is made once, every trial is one evaluation."""

    def setup(self, config: dict[str, Any], make_evaluator: MakeEvaluator | None = None) -> None:
        assert make_evaluator is not None  # given by tune.with_parameters
        self._evaluator = make_evaluator()
        self._job = _from_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._job = _from_config(new_config)
        return True

    def step(self) -> dict[str, Any]:
        evaluation = evaluate_safely(self._evaluator, self._job)
        numbers = {"seconds": evaluation.seconds}
        if evaluation.accuracy is not None:
            numbers["accuracy"] = evaluation.accuracy
        return {**numbers, "status": evaluation.status, "evaluation": json.dumps(evaluation.to_json())}


class RayEngine(Engine):
    """Runs jobs on Ray workers."""

    def __init__(
        self,
        cluster: Cluster,
        make_evaluator: MakeEvaluator,
        *,
        timeout: float | None,
        max_failures: int,
        callbacks: Sequence[Callback] = (),
        folder: Path | None = None,
    ) -> None:
        """Check that a worker can make the evaluator, and start Tune.

        Args:
            cluster: Where to run; closed with the engine.
            make_evaluator: Called once in each worker.
            timeout: Seconds an evaluation of fidelity 1 should take at most; None for no limit.
            max_failures: How often a job is tried again after its worker died.
            callbacks: Tune's callbacks, told of every trial.
            folder: Where they write; None if they write nothing.

        Raises:
            InputError: The evaluator cannot be made.
        """
        self._cluster = cluster
        self._desk = _Desk(cluster.resources.workers, timeout, max_failures)
        self._tickets = itertools.count()
        self._error: BaseException | None = None
        self._probe(make_evaluator)
        self._scratch = tempfile.TemporaryDirectory(prefix="nas-tune-", ignore_cleanup_errors=True)
        self._tuner = self._make_tuner(make_evaluator, list(callbacks), str(folder or self._scratch.name))
        self._thread = threading.Thread(target=self._tune, name="tune", daemon=True)
        self._thread.start()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        """Yield results as they come.

        Raises:
            NasError: Ray Tune stopped, e.g. because the cluster's head is gone.
        """
        # A few more than workers, so that none waits while the search takes in a result.
        most = self._desk.workers + 1 + self._desk.workers // 4
        source = iter(jobs)
        flying: dict[int, int] = {}
        while True:
            for job in itertools.islice(source, most - len(flying)):
                ticket = next(self._tickets)
                flying[ticket] = job.trial
                self._desk.todo.put(_Attempt(ticket, job))
            if not flying:
                return
            ticket, evaluation = self._next_result()
            if ticket in flying:  # else it belongs to a run that was abandoned
                yield flying.pop(ticket), evaluation

    def close(self) -> None:
        """Drop what is in flight and stop all workers, within seconds."""
        self._desk.closing.set()
        self._thread.join(_STOP_SECS)
        self._cluster.close()
        self._scratch.cleanup()

    def _next_result(self) -> tuple[int, Evaluation]:
        result = self._desk.results.get()
        if result is None:
            self._desk.results.put(None)
            why = f"{type(self._error).__name__}: {self._error}".strip().splitlines()[-1]
            raise NasError(f"Ray Tune stopped: {why}; go on with --resume")
        return result

    def _probe(self, make_evaluator: MakeEvaluator) -> None:
        """Make the evaluator in a worker once, so that a user's mistake is one line and not every trial's failure."""
        needs = self._cluster.resources
        remote = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(_try_evaluator)
        try:
            problem = ray.get(remote.remote(make_evaluator))
        except ray.exceptions.RayError as error:
            raise NasError(f"no worker could make the evaluator: {_last_line(str(error))}") from None
        if problem is not None:
            raise InputError(problem)

    def _make_tuner(self, make_evaluator: MakeEvaluator, callbacks: list[Callback], folder: str) -> tune.Tuner:
        needs = self._cluster.resources
        worker = tune.with_parameters(_Worker, make_evaluator=make_evaluator)
        return tune.Tuner(
            tune.with_resources(worker, {"cpu": needs.cpus, "gpu": needs.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=_Feed(self._desk),
                scheduler=_WarmWorkers(self._desk),
                num_samples=-1,
                reuse_actors=True,
                # `_Feed` gives at most one job a worker; as many finished trials may be held.
                max_concurrent_trials=2 * needs.workers,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=folder,
                verbose=0,
                callbacks=[_Clock(self._desk), *callbacks],
                stop=_Closing(self._desk),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )

    def _tune(self) -> None:
        """Tune's thread."""
        try:
            self._tuner.fit()
        except BaseException as error:  # noqa: BLE001 - reported by the thread that waits for results
            self._error = error
        self._desk.results.put(None)


class _Closing(tune.Stopper):
    """Ends the experiment when the engine closes."""

    def __init__(self, desk: _Desk) -> None:
        self.desk = desk

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.desk.closing.is_set()


def _try_evaluator(make_evaluator: MakeEvaluator) -> str | None:
    try:
        make_evaluator()
    except InputError as error:
        return str(error)
    return None


def _to_config(job: Job) -> dict[str, Any]:
    architecture = json.dumps(schema.to_plain(job.architecture))
    return {"trial": job.trial, "seed": job.seed, "fidelity": job.fidelity, "architecture": architecture}


def _from_config(config: dict[str, Any]) -> Job:
    architecture = schema.from_mapping(Architecture, json.loads(config["architecture"]), "architecture")
    return Job(trial=config["trial"], architecture=architecture, seed=config["seed"], fidelity=config["fidelity"])


def _name(trial: Trial) -> str:
    return f"trial-{trial.config['trial']}-{trial.trial_id}"


def _error_text(trial: Trial) -> str:
    try:
        return Path(trial.error_file).read_text(encoding="utf-8")
    except (OSError, TypeError):
        return "its worker died"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else text
