"""Evaluations in this process, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from evaluator.base import Evaluation, Evaluator
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


def evaluate_safely(evaluator: Evaluator[Any], job: Job) -> Evaluation:
    """The job's evaluation; an exception of the evaluator becomes status ``failed`` with its one-line reason."""
    started = time.monotonic()
    try:
        if job.fidelity == 1:
            return evaluator.evaluate(job.architecture, job.seed)
        return evaluator.evaluate(job.architecture, job.seed, job.fidelity)
    except Exception as error:
        _logger.debug("trial %d failed", job.trial, exc_info=True)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Evaluation(status="failed", reason=reason, seconds=time.monotonic() - started)
