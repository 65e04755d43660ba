"""Workers of the Ray engine: actors that make the evaluator once and stay; those that are lost are replaced.

Each worker has at most one call in flight: `node` returns once it has a place, `make` makes the evaluator, and after
that every `evaluate` is one job. A job is only given to a worker that has its evaluator, so a node where it cannot be
made costs no job a try.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayError, RayTaskError

from evaluator.base import DeviceLost, Evaluator
from nas.engines.base import Job
from nas.engines.local import describe_safely, evaluate_safely
from nas.engines.ray_cluster import Resources
from search_space.errors import InputError, NasError

_logger = logging.getLogger(__name__)

PLACE_SECS = 600.0
"""How long to wait for a place while no worker has one: a cluster may have to start nodes."""
MAKE_SECS = 3600.0
"""How long a worker may take to make its evaluator: it may have to copy its data to the node first."""
_SAY_SECS = 30.0  # a start that takes longer says what it waits for
_CHECK_SECS = 10.0  # how long an idle worker may take to say that it is alive
_DESCRIBE_SECS = 60.0  # how long an evaluator may take to say what it uses
_LONGEST_PAUSE = 60.0  # seconds between two tries to make an evaluator
_STEP_SECS = 1.0  # how long a step waits at most
_LOW_MEMORY = "running low on memory"  # what Ray says when it kills a worker for it

MakeEvaluator = Callable[[], Evaluator[Any]]
_Stage = Literal["placing", "making", "checking", "evaluating"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no result."""

    kind: Literal["raised", "died", "memory", "node", "late"]
    """The evaluation raised, its worker died, Ray killed it for memory, its node was lost, or it was killed here."""
    why: str
    """In one line."""


class _Actor:
    """What runs in a worker's process."""

    def node(self) -> str:
        return str(ray.get_runtime_context().get_node_id())

    def make(self, make_evaluator: MakeEvaluator) -> tuple[str, bool] | None:
        """Make the evaluator, or say why not and whether that is the user's to mend."""
        try:
            self._evaluator = make_evaluator()
        except InputError as error:
            return str(error), True
        except Exception as error:  # noqa: BLE001 - a text crosses to the search, not what a stranger raised
            return f"{type(error).__name__}: {error}".strip().splitlines()[0], False
        return None

    def describe(self) -> str:
        """What the evaluator says of itself, as JSON."""
        return json.dumps(describe_safely(self._evaluator))

    def evaluate(self, job: Job) -> str:
        """The evaluation as JSON, so that nothing of the evaluator's own is unpickled by the search."""
        process = os.getpid()
        try:
            return json.dumps(evaluate_safely(self._evaluator, job).to_json())
        finally:
            if os.getpid() != process:
                os._exit(0)  # a fork that the evaluation forgot to end


@dataclass(slots=True, eq=False)
class _Worker:
    """An actor as the search knows it."""

    actor: Any
    stage: _Stage = "placing"
    """What its call is for."""
    deadline: float = math.inf
    """When its call counts as hanging, on the monotonic clock."""
    node: str = ""
    """Ray's id of the node that it is on."""
    task: Any = None
    """What it evaluates, for whoever gave it."""


class Workers:
    """So many workers, of which some are idle and the others have a call in flight."""

    def __init__(self, needs: Resources, make_evaluator: MakeEvaluator) -> None:
        self.idle: deque[_Worker] = deque()
        self._calls: dict[Any, _Worker] = {}
        self._num_workers = needs.workers
        self._make_evaluator = make_evaluator
        # In turn over the nodes, so that an evaluator that could not be made on one is tried on the next.
        self._actors = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, scheduling_strategy="SPREAD")(_Actor)
        self._failures = 0  # evaluators in a row that could not be made
        self._resume = -math.inf  # when to try again

    def wait_for_one(self) -> None:
        """Start all workers and wait until one has its evaluator.

        Raises:
            InputError: The evaluator cannot be made; its own reason.
            NasError: It cannot be made for another reason, or there is no place for a worker.
        """
        say = time.monotonic() + _SAY_SECS
        while not self.idle:
            self.step()
            if time.monotonic() > say:
                say = math.inf
                what = "a worker to load its data" if self._any_placed() else "the cluster to have room for a worker"
                _logger.warning("waiting for %s", what)

    def describe(self) -> dict[str, Any]:
        """What the evaluator of an idle worker says of itself; nothing where that takes too long."""
        try:
            said: dict[str, Any] = json.loads(ray.get(self.idle[0].actor.describe.remote(), timeout=_DESCRIBE_SECS))
            return said
        except RayError as error:
            _logger.warning("the evaluator's description is left out: %s", type(error).__name__)
            return {}

    def check_idle(self) -> None:
        """Ask idle workers whether they are alive, so that their deaths meanwhile cost no job a try."""
        while self.idle:
            worker = self.idle.popleft()
            self._call(worker, "checking", worker.actor.node.remote(), _CHECK_SECS)

    def evaluate(self, job: Job, task: Any, seconds: float) -> None:
        """Give a job to an idle worker.

        Args:
            job: What to evaluate.
            task: `step` returns it with the result.
            seconds: When to kill the worker under it.
        """
        worker = self.idle.popleft()
        worker.task = task
        self._call(worker, "evaluating", worker.actor.evaluate.remote(job), seconds)

    def step(self) -> tuple[Any, str | Failure] | None:
        """Wait a little for the next thing to happen.

        Returns:
            A task and its evaluation as JSON, or why there is none; None if no job has ended.

        Raises:
            InputError: See `wait_for_one`.
            NasError: No worker is left and none can be made.
        """
        self._start_missing()
        now = time.monotonic()
        if not self._calls:
            time.sleep(min(_STEP_SECS, max(0.0, self._resume - now)))
            return None
        first = min(self._calls, key=lambda call: self._calls[call].deadline)
        left = self._calls[first].deadline - now
        calls = list(self._calls) if left > 0 else [first]  # a late one may have ended while nobody looked
        ready, _ = ray.wait(calls, timeout=min(_STEP_SECS, max(0.0, left)))
        if ready:
            return self._take(ready[0])
        return None if left > 0 else self._happened(self._calls.pop(first), TimeoutError())

    def abandon(self) -> None:
        """Kill workers that evaluate: nobody wants their results."""
        for call in [call for call, worker in self._calls.items() if worker.stage == "evaluating"]:
            ray.kill(self._calls.pop(call).actor)

    def _start_missing(self) -> None:
        if time.monotonic() >= self._resume:
            for _ in range(self._num_workers - len(self._calls) - len(self.idle)):
                worker = _Worker(self._actors.remote())
                self._call(worker, "placing", worker.actor.node.remote(), PLACE_SECS)

    def _call(self, worker: _Worker, stage: _Stage, call: Any, seconds: float) -> None:
        worker.stage, worker.deadline = stage, time.monotonic() + seconds
        self._calls[call] = worker

    def _take(self, call: Any) -> tuple[Any, str | Failure] | None:
        worker = self._calls.pop(call)
        try:
            value = ray.get(call)
        except RayError as error:
            value = error
        return self._happened(worker, value)

    def _happened(self, worker: _Worker, value: Any) -> tuple[Any, str | Failure] | None:
        """Lead a worker from the call that has ended to its next one."""
        if worker.stage == "evaluating":
            return self._evaluated(worker, value)
        if isinstance(value, Exception):
            self._lost(worker, value)
        elif worker.stage == "placing":
            worker.node = value
            self._call(worker, "making", worker.actor.make.remote(self._make_evaluator), MAKE_SECS)
        elif worker.stage == "making" and value is not None:
            self._not_made(worker, *value)
        else:
            if worker.stage == "making":
                self._failures = 0
            self.idle.append(worker)
        return None

    def _evaluated(self, worker: _Worker, value: Any) -> tuple[Any, str | Failure]:
        outcome = _failure(value, worker.node) if isinstance(value, Exception) else str(value)
        if isinstance(outcome, str) or outcome.kind == "raised":
            self.idle.append(worker)
        else:
            ray.kill(worker.actor)
        return worker.task, outcome

    def _lost(self, worker: _Worker, error: Exception) -> None:
        """A worker without a job has died or hangs."""
        failure = _failure(error, worker.node)
        if worker.stage == "checking":
            ray.kill(worker.actor)
        elif failure.kind != "late":
            self._not_made(worker, failure.why)
        elif worker.stage == "making":
            self._not_made(worker, f"not done after {MAKE_SECS:g} s; does its constructor hang?", final=True)
        elif self._any_placed():
            self._call(worker, "placing", worker.actor.node.remote(), PLACE_SECS)
        else:
            raise NasError(f"no evaluation has found a place on the cluster within {PLACE_SECS:g} s")

    def _not_made(self, worker: _Worker, why: str, mistake: bool = False, final: bool = False) -> None:
        """Try again elsewhere and later; give up when no worker is left and every node has had its turn.

        Args:
            worker: Whose evaluator could not be made.
            why: In one line.
            mistake: Whether it is the user's, and would be made again on the same node.
            final: Whether another try would take too long.
        """
        _logger.info("a worker could not make the evaluator: %s", why)
        ray.kill(worker.actor)
        self._failures += 1
        self._resume = time.monotonic() + min(_LONGEST_PAUSE, 0.5 * 2.0 ** min(self._failures, 10))
        stages = {other.stage for other in self._calls.values()}
        if self.idle or stages & {"checking", "evaluating"}:
            return
        nodes = sum(node["Alive"] for node in ray.nodes())
        turns = max(nodes, self._num_workers)
        if (mistake and nodes == 1) or ("making" not in stages and (final or self._failures >= turns)):
            more = f"no worker could make the evaluator: {why} (--engine local shows where)"
            raise InputError(why) if mistake else NasError(more)

    def _any_placed(self) -> bool:
        """Whether any worker is beyond waiting for a place."""
        return bool(self.idle) or any(worker.stage != "placing" for worker in self._calls.values())


def _failure(error: Exception, node: str) -> Failure:
    """What an error of Ray's means.

    Args:
        error: Of a call to a worker.
        node: Where the worker was.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if isinstance(error, RayTaskError):  # which is also an instance of what was raised there
        return Failure("died" if isinstance(error.cause, DeviceLost) else "raised", lines[-1])
    if isinstance(error, TimeoutError):
        return Failure("late", "")
    if isinstance(error, OutOfMemoryError) or _LOW_MEMORY in str(error):
        return Failure("memory", f"OutOfMemoryError: {lines[0]}")
    # A worker that is killed on a living node is known to be dead at once; one that is only unreachable is not.
    gone = isinstance(error, ActorUnavailableError) or (isinstance(error, RayActorError) and error.preempted)
    if gone or node not in {row["NodeID"] for row in ray.nodes() if row["Alive"]}:
        return Failure("node", lines[-1])
    return Failure("died", lines[-1])
