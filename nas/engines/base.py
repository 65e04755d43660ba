"""The contract of an engine: jobs in, evaluations out. Engines know nothing of learning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from evaluator.base import Evaluation
from search_space.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One evaluation to run."""

    trial: int
    """The trial it belongs to."""
    architecture: Architecture
    seed: int
    fidelity: int = 1
    """How many times longer than usual to train."""


GRACE_SECS = 10.0
"""An evaluation that overruns its time by a tenth and this many seconds no longer minds its own clock: it is ended."""


def patience(timeout: float, fidelity: int) -> float:
    """Seconds after which an engine ends an evaluation.

    Args:
        timeout: What an evaluation of fidelity 1 should take at most; infinity for no limit.
        fidelity: How many times longer than usual this one is.
    """
    return 1.1 * timeout * fidelity + GRACE_SECS


def late(timeout: float, fidelity: int, how: str) -> Evaluation:
    """The result of an evaluation that was ended."""
    seconds = timeout * fidelity
    return Evaluation(status="timeout", reason=f"did not stop by itself after {seconds:g} s; {how}", seconds=seconds)


class Engine(ABC):
    """Runs evaluations somewhere."""

    workers: int = 1
    """Evaluations at a time."""

    @abstractmethod
    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (trial, evaluation) for every job exactly once, in the order they finish.

        Jobs are taken from `jobs` as workers come free, so it may be a generator that decides late. An evaluator that
        raises gives an Evaluation with status ``failed`` and the reason. Abandoning the iterator abandons its jobs.
        """

    def describe(self) -> dict[str, Any]:
        """What the evaluator says of itself: see `Evaluator.describe`."""
        return {}

    def close(self) -> None:
        """Stop all workers."""
        return
