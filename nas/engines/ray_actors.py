"""Evaluations on Ray workers, on this machine's cores and GPUs or on a cluster.

Ray remembers nothing that matters: jobs live in the search's own process, and a run resumes from its journal.
"""

from __future__ import annotations

import json
import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayError

from evaluator.base import Evaluation
from nas.engines.base import Engine, Job, late, patience
from nas.engines.ray_cluster import Cluster
from nas.engines.ray_workers import Failure, MakeEvaluator, Workers
from search_space.errors import NasError

_logger = logging.getLogger(__name__)

MAX_NODE_LOSSES = 20
"""How often a job is tried again because its node went away: rarely the job's fault, but not for ever."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """A job on its way, and what befell it."""

    job: Job
    deaths: int = 0
    node_losses: int = 0


class RayEngine(Engine):
    """Runs jobs on Ray workers, one run at a time: a new run abandons the one before."""

    def __init__(
        self, cluster: Cluster, make_evaluator: MakeEvaluator, *, timeout: float | None, max_failures: int
    ) -> None:
        """Start the workers, and wait until one has made its evaluator.

        Args:
            cluster: Where to run; closed with the engine.
            make_evaluator: Called once in each worker.
            timeout: Seconds an evaluation of fidelity 1 should take at most; None for no limit.
            max_failures: How often a job is tried again after its worker died.

        Raises:
            InputError: The evaluator cannot be made; its own reason.
            NasError: No worker could make the evaluator, or there was no place for one.
        """
        self._cluster = cluster
        self._timeout = math.inf if timeout is None else timeout
        self._max_failures = max_failures
        self._run = 0
        needs = cluster.resources
        self.workers = needs.workers
        _logger.info("%d Ray workers, each with %g CPUs and %g GPUs", needs.workers, needs.cpus, needs.gpus)
        self._workers = Workers(needs, make_evaluator)
        self._workers.wait_for_one()
        self._said = self._workers.describe()

    def describe(self) -> dict[str, Any]:
        """See `Engine.describe`."""
        return self._said

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        """Yield results as they come.

        Raises:
            NasError: No worker is left and none can be made, or Ray stopped, e.g. because the head is gone.
        """
        self._run = run = self._run + 1
        self._workers.abandon()
        self._workers.check_idle()
        attempts = map(_Attempt, jobs)
        again: deque[_Attempt] = deque()
        more, evaluating = True, 0

        def give() -> None:
            nonlocal more, evaluating
            while self._workers.idle and (again or more):
                attempt = again.popleft() if again else next(attempts, None)
                if attempt is None:
                    more = False
                    continue
                self._workers.evaluate(attempt.job, attempt, patience(self._timeout, attempt.job.fidelity))
                evaluating += 1

        try:
            while True:
                give()
                if not (again or more or evaluating):
                    return
                ended = self._step()
                if ended is None:
                    continue
                attempt, outcome = ended
                evaluating -= 1
                evaluation = self._conclude(attempt, outcome)
                if evaluation is None:
                    again.append(attempt)
                    continue
                if isinstance(jobs, list):  # all decided; the worker need not wait for what the search does meanwhile
                    give()
                yield attempt.job.trial, evaluation
                assert run == self._run, "another run has begun"
        finally:
            if run == self._run:
                self._workers.abandon()

    def close(self) -> None:
        """Drop what is in flight and stop all workers, within seconds."""
        self._run += 1
        self._cluster.close()

    def _step(self) -> tuple[_Attempt, str | Failure] | None:
        try:
            return self._workers.step()
        except (NasError, RayError) as error:
            why = str(error).strip().splitlines()[-1]
            raise NasError(f"evaluations ended: {why}; go on with --resume") from None

    def _conclude(self, attempt: _Attempt, outcome: str | Failure) -> Evaluation | None:
        """The result of a job; None if it is to be tried again, as its worker's death cut it short."""
        if isinstance(outcome, str):
            return Evaluation.from_json(json.loads(outcome))
        match outcome.kind:
            case "raised":
                return Evaluation(status="failed", reason=outcome.why)
            case "late":
                return late(self._timeout, attempt.job.fidelity, "its worker was killed")
            case "node":
                attempt.node_losses += 1
                over, reason = attempt.node_losses > MAX_NODE_LOSSES, f"its node was lost {attempt.node_losses} times"
            case _:
                attempt.deaths += 1
                over, reason = attempt.deaths > self._max_failures, f"its worker died {attempt.deaths} times"
        if not over:
            _logger.info("trial %d: a worker was lost, trying again: %s", attempt.job.trial, outcome.why)
            return None
        return Evaluation(
            status="infeasible" if outcome.kind == "memory" else "failed", reason=f"{reason}: {outcome.why}"
        )
