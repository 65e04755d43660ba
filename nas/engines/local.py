"""Evaluations in this process, one after the other."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from evaluator.base import DeviceLost, Evaluation, Evaluator
from evaluator.function import as_evaluation
from nas.engines.base import Engine, Job, late, patience
from search_space.errors import NasError, one_line

_logger = logging.getLogger(__name__)


class LocalEngine(Engine):
    """Runs each job with one evaluator, in order."""

    def __init__(self, evaluator: Evaluator[Any], timeout: float | None = None) -> None:
        """Run jobs here.

        Args:
            evaluator: Evaluates them.
            timeout: Seconds an evaluation of fidelity 1 should take at most; None for no limit.
        """
        self.evaluator = evaluator
        self._timeout = math.inf if timeout is None else timeout

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        """Yield results in the order of the jobs.

        Raises:
            DeviceLost: This process cannot use its GPU any more.
        """
        for job in jobs:
            yield job.trial, self._evaluate(job)

    def _evaluate(self, job: Job) -> Evaluation:
        try:
            with _alarm(patience(self._timeout, job.fidelity)):
                return evaluate_safely(self.evaluator, job)
        except _Late:
            return late(self._timeout, job.fidelity, "it was interrupted")

    def describe(self) -> dict[str, Any]:
        """See `Engine.describe`."""
        return describe_safely(self.evaluator)


class _Late(BaseException):
    """An evaluation has overrun its time; no `except Exception` of its own holds it."""


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Interrupt what runs inside after so many seconds, where it can be: Python code, in the main thread."""
    if (
        math.isinf(seconds)
        or not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def interrupt(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # and again, should one be swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def evaluate_safely(evaluator: Evaluator[Any], job: Job) -> Evaluation:
    """The job's evaluation; whatever goes wrong in the evaluator is status ``failed`` with a reason of one line.

    Raises:
        DeviceLost: So would be whatever this process evaluates next.
    """
    started, process = time.monotonic(), os.getpid()
    try:
        if job.fidelity == 1:
            found = evaluator.evaluate(job.architecture, job.seed)
        else:
            found = evaluator.evaluate(job.architecture, job.seed, job.fidelity)
        return as_evaluation(found, time.monotonic() - started)
    except (KeyboardInterrupt, _Late, DeviceLost):
        raise
    except BaseException as error:
        _logger.debug("trial %d failed", job.trial, exc_info=True)
        return Evaluation(status="failed", reason=_describe(error), seconds=time.monotonic() - started)
    finally:
        if os.getpid() != process:  # the evaluator forked, and this is the child: the search goes on in the parent
            os._exit(0)


def describe_safely(evaluator: Evaluator[Any]) -> dict[str, Any]:
    """What an evaluator says of itself, as plain JSON values; nothing where it cannot."""
    try:
        said = json.loads(json.dumps(evaluator.describe(), allow_nan=False))
        return dict(said)
    except Exception as error:  # noqa: BLE001 - a user's evaluator may raise anything
        _logger.warning("the evaluator's description is left out: %s", one_line(_describe(error)))
        return {}


def estimate_seconds(evaluator: Evaluator[Any], job: Job) -> float | None:
    """How long a job takes, without a whole training; None where the evaluator cannot tell.

    Raises:
        InputError: The evaluator refuses the network.
        NasError: It fails with this network.
    """
    if evaluator.is_lookup:
        evaluation = evaluate_safely(evaluator, job)
        if evaluation.status != "ok":
            raise NasError(f"the timed trial ended as {evaluation.status}: {evaluation.reason}")
        return evaluation.seconds
    try:
        return evaluator.estimate(job.architecture, job.seed)
    except NasError:
        raise
    except Exception as error:
        raise NasError(f"some steps were to be timed, and failed: {_describe(error)}") from error


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception's own text may raise anything
        text = "its text cannot be printed"
    return f"{type(error).__name__}: {text}".partition("\n")[0]
