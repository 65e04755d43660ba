"""The contract of an evaluator: an architecture and a seed in, an Evaluation out. It never knows who asked."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from search_space.architecture import Architecture
from search_space.io import schema

ConfigT = TypeVar("ConfigT")

Status = Literal["ok", "infeasible", "diverged", "failed", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation found. Never NaN, never -1: a network without an accuracy has a status and a reason."""

    status: Status
    """``infeasible``: cannot run here (memory); ``diverged``: NaN or exploding loss; ``failed``: an error."""
    accuracy: float | None = None
    """Validation accuracy in [0, 1]; None unless the status is ``ok``."""
    reason: str = ""
    """Why there is no accuracy, in one line; empty where the status is ``ok``."""
    curve: tuple[float, ...] = ()
    """Validation accuracy after each epoch."""
    losses: tuple[float, ...] = ()
    """Validation loss after each epoch, nats."""
    seconds: float = 0.0
    """Wall time of the evaluation."""
    latency_ms: float | None = None
    """Measured milliseconds an image of the network as deployed; None where the search does not ask for it."""

    def __post_init__(self) -> None:
        ok = self.status == "ok"
        assert ok == (self.accuracy is not None), f"status {self.status} with accuracy {self.accuracy}"
        assert ok or self.reason, f"status {self.status} needs a reason"
        assert self.accuracy is None or (math.isfinite(self.accuracy) and 0 <= self.accuracy <= 1), self.accuracy
        object.__setattr__(self, "curve", tuple(self.curve))
        object.__setattr__(self, "losses", tuple(self.losses))

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain JSON values, read back by `from_json`."""
        plain: dict[str, Any] = schema.to_plain(self)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Read what `to_json` wrote.

        Raises:
            InputError: Unknown or missing fields, or wrong types.
        """
        return schema.from_mapping(cls, data, "evaluation")


class Evaluator(ABC, Generic[ConfigT]):
    """Measures architectures. Subclasses set `Config` (a frozen dataclass) and `presets`.

    An evaluator is made once a process and used for many architectures, so data is loaded once.
    """

    Config: ClassVar[type]
    presets: ClassVar[Mapping[str, Any]]
    """Named configs; ``default`` always exists."""

    def __init__(self, config: ConfigT) -> None:
        """Prepare to evaluate, e.g. load the data.

        Args:
            config: An instance of `Config`.

        Raises:
            InputError: The config asks for something that is not there, e.g. a data folder.
        """
        self.config = config

    @abstractmethod
    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """Measure one architecture; the same architecture, seed and fidelity give the same result (times aside).

        Args:
            architecture: The network as it would be deployed.
            seed: Seed of everything random in the measurement.
            fidelity: How many times longer than the config says to train; an evaluator that knows one way to measure
                ignores it. The engine names it only where it is not 1.

        A network that cannot be measured is an Evaluation with a status and a reason; an exception is a bug, and the
        engine records it as ``failed``.
        """

    @classmethod
    def caveat(cls, config: ConfigT) -> str:
        """One line for the user on what a ranking by this config is worth; empty where there is nothing to say."""
        return ""

    def describe(self) -> dict[str, Any]:
        """What was used, for the run's record: data set, images, device. Plain JSON values."""
        return {}
