"""Evaluations in this process, one after the other."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

from evaluator.base import Evaluation, Evaluator
from evaluator.function import as_evaluation
from nas.engines.base import Engine, Job
from search_space.errors import NasError

_logger = logging.getLogger(__name__)


class LocalEngine(Engine):
    """Runs each job with one evaluator, in order."""

    def __init__(self, evaluator: Evaluator[Any]) -> None:
        self.evaluator = evaluator

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        """Yield results in the order of the jobs."""
        for job in jobs:
            yield job.trial, evaluate_safely(self.evaluator, job)

    def describe(self) -> dict[str, Any]:
        """See `Engine.describe`."""
        return self.evaluator.describe()


def evaluate_safely(evaluator: Evaluator[Any], job: Job) -> Evaluation:
    """The job's evaluation; whatever goes wrong in the evaluator is status ``failed`` with a reason of one line."""
    started, process = time.monotonic(), os.getpid()
    try:
        if job.fidelity == 1:
            found = evaluator.evaluate(job.architecture, job.seed)
        else:
            found = evaluator.evaluate(job.architecture, job.seed, job.fidelity)
        return as_evaluation(found, time.monotonic() - started)
    except (Exception, SystemExit) as error:
        _logger.debug("trial %d failed", job.trial, exc_info=True)
        return Evaluation(status="failed", reason=_describe(error), seconds=time.monotonic() - started)
    finally:
        if os.getpid() != process:  # the evaluator forked, and this is the child: the search goes on in the parent
            os._exit(0)


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
