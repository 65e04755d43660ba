"""Evaluations as Ray Tune trials, on this machine's cores and GPUs or on a cluster.

One Tuner.fit lives as long as the engine, in a thread of its own, and is fed through queues: starting one for every
batch would cost seconds each time. Tune keeps no memory that matters: nothing of it is saved or restored, the journal
is what a run resumes from.
"""

from __future__ import annotations

import itertools
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback

from evaluator.base import Evaluation, Evaluator
from nas.engines.base import Engine, Job
from nas.engines.local import evaluate_safely
from nas.engines.ray_cluster import Cluster
from nas.engines.tune_trials import (
    Attempt,
    Clock,
    Closing,
    Desk,
    Feed,
    Silence,
    WarmWorkers,
    from_config,
    last_line,
    trial_name,
)
from search_space.errors import InputError, NasError

_logger = logging.getLogger(__name__)
_STOP_SECS = 8.0  # how long a close waits for Tune's loop before it ends Ray under it

MakeEvaluator = Callable[[], Evaluator[Any]]


class _Worker(tune.Trainable):
    """An actor: the evaluator is made once, every trial is one evaluation."""

    def setup(self, config: dict[str, Any], make_evaluator: MakeEvaluator | None = None) -> None:
        assert make_evaluator is not None  # given by tune.with_parameters
        self._evaluator = make_evaluator()
        self._job = from_config(config)
        self._folder = self.logdir

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        with suppress(OSError):
            Path(self._folder).rmdir()  # Tune makes one a trial; nothing is written into it
        self._job = from_config(new_config)
        self._folder = self.logdir
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
        self._desk = Desk(cluster.resources.workers, timeout, max_failures)
        self._tickets = itertools.count()
        self._error: BaseException | None = None
        # Its complaints at the end are about trials that were retried or dropped on purpose.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
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
                self._desk.todo.put(Attempt(ticket, job))
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
            raise NasError(f"no worker could make the evaluator: {last_line(str(error))}") from None
        if problem is not None:
            raise InputError(problem)

    def _make_tuner(self, make_evaluator: MakeEvaluator, callbacks: list[Callback], folder: str) -> tune.Tuner:
        needs = self._cluster.resources
        worker = tune.with_parameters(_Worker, make_evaluator=make_evaluator)
        return tune.Tuner(
            tune.with_resources(worker, {"cpu": needs.cpus, "gpu": needs.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=Feed(self._desk),
                scheduler=WarmWorkers(self._desk),
                num_samples=-1,
                reuse_actors=True,
                # `_Feed` gives at most one job a worker; as many finished trials may be held.
                max_concurrent_trials=2 * needs.workers,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=folder,
                verbose=0,
                callbacks=[Silence(), Clock(self._desk), *callbacks],
                stop=Closing(self._desk),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )

    def _tune(self) -> None:
        """Tune's thread."""
        try:
            self._tuner.fit()
        except BaseException as error:
            self._error = error
            _logger.info("Ray Tune stopped", exc_info=error)
        self._desk.results.put(None)


def _try_evaluator(make_evaluator: MakeEvaluator) -> str | None:
    try:
        make_evaluator()
    except InputError as error:
        return str(error)
    return None
