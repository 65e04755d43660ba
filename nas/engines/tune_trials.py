"""Tune's side of the Ray engine: a thin searcher and scheduler, both in Tune's own thread.

Three things Tune does not do by itself are done here:

- Workers stay warm between batches. Tune ends an actor that has no next trial waiting, so a finished trial is held
  (`TrialScheduler.NOOP`), with its actor, until the next job takes the actor over.
- A worker that hangs is killed from outside.
- A trial whose worker died is tried again as a new trial. Tune's own retries would not tell a worker's death from a
  timeout.
"""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from evaluator.base import Evaluation
from nas.engines.base import Job
from nas.engines.tune_internals import forget_finished, survive_memory_kills
from search_space.architecture import Architecture
from search_space.io import schema

_logger = logging.getLogger(__name__)
GRACE_SECS = 10.0
"""An evaluation that overruns its time by a tenth and this many seconds no longer minds its own clock: it is killed."""
_LOW_MEMORY = "running low on memory"  # what Ray says when it kills a worker for it
_IDLE_SECS = 0.01  # between two looks for a job while none is in flight
_COLD_SECS = 10.0  # how long a trial waits for a new worker before it takes one that is idle


@dataclass(slots=True)
class Attempt:
    """A job on its way, and how often its workers died."""

    ticket: int
    job: Job
    failures: int = 0


class Desk:
    """What Tune's thread knows; `todo`, `results` and `closing` are shared with the search's thread."""

    def __init__(self, workers: int, timeout: float | None, max_failures: int) -> None:
        self.workers = workers
        self.timeout = timeout
        self.max_failures = max_failures
        self.todo: queue.SimpleQueue[Attempt] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[tuple[int, Evaluation] | None] = queue.SimpleQueue()
        self.closing = threading.Event()
        self.attempts: dict[str, Attempt] = {}
        """Handed to Tune and not finished, by Tune's trial id."""
        self.starting: deque[Trial] = deque()
        """Trials that Tune has just made."""
        self.cold: dict[Trial, float] = {}
        """Trials that wait for a new worker, and since when."""
        self.held: deque[Trial] = deque()
        """Finished trials that keep their workers warm."""
        self.deadlines: dict[str, tuple[float, Any]] = {}
        """When to kill which actor, by trial id; all of them when the engine closes."""
        self.killed: set[str] = set()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Tuner pickles all it is given, to be restored from; this is never restored."""
        return Desk, (self.workers, self.timeout, self.max_failures)

    def finish(self, attempt: Attempt, evaluation: Evaluation) -> None:
        """Hand a result to the search."""
        self.results.put((attempt.ticket, evaluation))

    def fail(self, attempt: Attempt, error: str) -> None:
        """Try again, elsewhere, what a worker's death cut short; give up after so many deaths."""
        attempt.failures += 1
        # Ray's word on memory is the first line of many.
        memory = next((line for line in error.splitlines() if "OutOfMemoryError" in line or _LOW_MEMORY in line), None)
        why = memory or last_line(error)
        if attempt.failures <= self.max_failures:
            _logger.info("trial %d: a worker died, trying again: %s", attempt.job.trial, why)
            self.todo.put(attempt)
            return
        reason = f"its worker died {attempt.failures} times: {why}"
        self.finish(attempt, Evaluation(status="infeasible" if memory else "failed", reason=reason))


class Feed(Searcher):
    """Hands jobs to Tune, at most one a worker."""

    def __init__(self, desk: Desk) -> None:
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
        return to_config(attempt.job)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler has taken the result already, when it came."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is a run's memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is a run's memory."""


class WarmWorkers(FIFOScheduler):
    """Takes results, keeps workers warm, and kills those that hang."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A job has become a trial."""
        survive_memory_kills(tune_controller)
        forget_finished(tune_controller)
        self.desk.starting.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Called in each step of Tune's loop: give a waiting trial a warm worker, else let Tune start one."""
        desk = self.desk
        self._kill_late()
        desk.cold = {trial: since for trial, since in desk.cold.items() if trial.status == Trial.PENDING}
        now = time.monotonic()
        while desk.starting and desk.starting[0].status != Trial.PENDING:
            desk.starting.popleft()  # Tune took it up by itself: another worker would end the one that evaluates it
        if desk.starting:
            trial = desk.starting.popleft()
            if not desk.held:
                desk.cold[trial] = now
                return trial
        elif desk.held and desk.todo.empty() and any(now - since > _COLD_SECS for since in desk.cold.values()):
            # No new worker comes, e.g. because its node is lost: an idle one does its work.
            trial = next(iter(desk.cold))
            del desk.cold[trial]
        else:
            return None
        # Tune caches the actor of a trial that ends while another waits, and the waiting trial takes it.
        tune_controller.stop_trial(desk.held.popleft())
        return trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """An evaluation is finished: hand it over and hold the trial, so that its worker stays."""
        self.desk.deadlines.pop(trial.trial_id, None)
        attempt = self.desk.attempts.pop(trial.trial_id)
        self.desk.finish(attempt, Evaluation.from_json(json.loads(result["evaluation"])))
        self.desk.held.append(trial)
        return str(TrialScheduler.NOOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A worker died, or was killed here; the evaluator's own exceptions are results."""
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


class Clock(Callback):
    """Notes when an evaluation starts, which is after its worker has loaded its data; slows an idle loop down."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Set the deadline."""
        attempt = self.desk.attempts.get(trial.trial_id)
        if attempt is not None:
            timeout = math.inf if self.desk.timeout is None else self.desk.timeout
            seconds = 1.1 * timeout * attempt.job.fidelity + GRACE_SECS
            self.desk.deadlines[trial.trial_id] = (time.monotonic() + seconds, trial.temporary_state.ray_actor)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Rest while there is nothing to do.

        Tune's loop waits for what is in flight; with nothing there it does not wait at all, and would starve the
        search's own thread.
        """
        if not self.desk.attempts and self.desk.todo.empty():
            time.sleep(_IDLE_SECS)


class Silence(TrialProgressCallback):
    """In the place of Tune's own callback, which remembers every trial to print nothing about it."""

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        """Nothing is printed."""

    def on_trial_error(self, *args: Any, **info: Any) -> None:
        """Nothing is printed."""

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        """Nothing is printed."""


class Closing(tune.Stopper):
    """Ends the experiment when the engine closes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Whether the engine closes."""
        return self.desk.closing.is_set()


def to_config(job: Job) -> dict[str, Any]:
    """A job as the flat config of a Tune trial."""
    architecture = json.dumps(schema.to_plain(job.architecture))
    return {"trial": job.trial, "seed": job.seed, "fidelity": job.fidelity, "architecture": architecture}


def from_config(config: dict[str, Any]) -> Job:
    """What `to_config` wrote."""
    architecture = schema.from_mapping(Architecture, json.loads(config["architecture"]), "architecture")
    return Job(trial=config["trial"], architecture=architecture, seed=config["seed"], fidelity=config["fidelity"])


def trial_name(trial: Trial) -> str:
    """A trial's name in Tune, and that of its folder."""
    return f"trial-{trial.config['trial']}-{trial.trial_id}"


def _error_text(trial: Trial) -> str:
    try:
        return Path(trial.error_file).read_text(encoding="utf-8")
    except (OSError, TypeError):
        return "its worker died"


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else text
