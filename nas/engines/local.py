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


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception's own text may raise anything
        text = "its text cannot be printed"
    return f"{type(error).__name__}: {text}".partition("\n")[0]
