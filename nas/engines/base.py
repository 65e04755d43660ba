"""The contract of an engine: jobs in, evaluations out. Engines know nothing of learning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (trial, evaluation) for every job exactly once, in the order they finish.

        An evaluator that raises gives an Evaluation with status ``failed`` and the reason.
        """

    def close(self) -> None:
        """Stop all workers."""
        return
