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
