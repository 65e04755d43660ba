"""The contract of an evaluator: an architecture and a seed in, an Evaluation out. It never knows who asked."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, get_args

from search_space.architecture import Architecture
from search_space.errors import InputError, NasError, check_fields, one_line
from search_space.io import schema

ConfigT = TypeVar("ConfigT")

CACHE_DIR = Path("~/.cache/nas-b0")
"""Where what takes long to make is kept, unless told otherwise: decoded images, fitted trees."""


class DeviceLost(NasError):
    """The GPU has failed in a way after which this process cannot use it: no network's fault, and no result."""


Status = Literal["ok", "infeasible", "diverged", "failed", "timeout"]
STATUSES = get_args(Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation found. Never NaN, never -1: a network without an accuracy has a status and a reason.

    Raises:
        InputError: Fields that contradict each other or are out of range, by name.
    """

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
        if isinstance(self.reason, str):
            object.__setattr__(self, "reason", one_line(self.reason))
        for name in ("accuracy", "seconds", "latency_ms"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        object.__setattr__(self, "curve", _numbers(self.curve))
        object.__setattr__(self, "losses", _numbers(self.losses))
        ok = self.status == "ok"
        known = isinstance(self.status, str) and self.status in STATUSES
        check_fields(
            (
                known,
                "status",
                self.status,
                f"one of {', '.join(STATUSES)}",
            ),
            (
                ok == (self.accuracy is not None),
                "accuracy",
                self.accuracy,
                "given where the status is ok, and only there",
            ),
            (self.accuracy is None or _in_range(self.accuracy, 0, 1), "accuracy", self.accuracy, "from 0 to 1"),
            (isinstance(self.reason, str), "reason", self.reason, "text"),
            (ok or bool(self.reason), "reason", self.reason, "given where the status is not ok"),
            (all(_in_range(value, 0, 1) for value in self.curve), "curve", self.curve, "accuracies from 0 to 1"),
            (
                all(_in_range(value, 0, math.inf) for value in self.losses),
                "losses",
                self.losses,
                "numbers of 0 or more",
            ),
            (_in_range(self.seconds, 0, math.inf), "seconds", self.seconds, "0 or more"),
            (
                self.latency_ms is None or _in_range(self.latency_ms, 0, math.inf),
                "latency_ms",
                self.latency_ms,
                "0 or more",
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain JSON values, read back by `from_json`."""
        plain: dict[str, Any] = schema.to_plain(self)
        return plain

    @classmethod
    def from_json(cls, data: object) -> Evaluation:
        """Read what `to_json` wrote.

        Raises:
            InputError: Unknown or missing fields, or wrong values.
        """
        if not isinstance(data, Mapping) or not {"status"} <= data.keys() <= _FIELDS:
            raise InputError(f"evaluation: expected a mapping of {', '.join(sorted(_FIELDS))}, got {str(data)[:60]!r}")
        return cls(**data)


class Score(NamedTuple):
    """What a network is worth on some images."""

    accuracy: float
    """Share of images whose class has the largest logit."""
    loss: float
    """Mean cross-entropy, nats."""
    top5_accuracy: float | None
    """Share of images whose class is among the five with the largest logits; None below six classes."""


MOST = 1e30
"""Of seconds, losses and milliseconds: no sum of them overflows."""
_FIELDS = frozenset(field.name for field in fields(Evaluation))


def _numbers(values: object) -> tuple[Any, ...]:
    """A sequence as a tuple; anything else as what its field's rule refuses."""
    return tuple(_plain(value) for value in values) if isinstance(values, list | tuple) else (None,)


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's; anything else as it is."""
    return float(value) if type(value) not in (int, float, bool) and isinstance(value, Real) else value


def _in_range(value: object, low: float, high: float) -> bool:
    """Whether it is a finite number of Python's own between two others."""
    return type(value) in (int, float) and low <= value <= min(high, MOST)  # type: ignore[operator]


class Evaluator(ABC, Generic[ConfigT]):
    """Measures architectures. Subclasses set `Config` (a frozen dataclass) and `presets`.

    An evaluator is made once a process and used for many architectures, so data is loaded once.
    """

    Config: ClassVar[type]
    presets: ClassVar[Mapping[str, Any]]
    """Named configs; ``default`` always exists."""
    argument: ClassVar[str | None] = None
    """The setting that ``name:ARGUMENT`` gives; None where a name takes no argument."""
    is_lookup: ClassVar[bool] = False
    """Whether an evaluation takes no time to speak of, so that workers would gain nothing."""
    trains: ClassVar[bool] = True
    """Whether an evaluation is a training, which another seed and more epochs can show the worth of."""
    search_defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings of a search with this evaluator where the user says nothing else, e.g. the space that it knows."""

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

    fixed_networks: ClassVar[bool] = False
    """Whether it knows certain networks only, of one size, as a table of results does."""

    # What follows is optional: how an evaluator takes part in what goes on around it.

    def estimate(self, architecture: Architecture, seed: int) -> float | None:
        """Seconds that `evaluate` would take, found in much less; None where that cannot be told."""
        return None

    @classmethod
    def caveat(cls, config: ConfigT) -> str:
        """One line for the user on what stands in the way of an answer; empty where there is nothing to say."""
        return ""

    @classmethod
    def advice(cls, config: ConfigT) -> str:
        """Flags of ``nas-search`` for an answer that is worth more, on the same data; empty where none are known."""
        return ""

    @classmethod
    def measured(cls, config: ConfigT, architecture: Architecture) -> Architecture:
        """The network that is measured in an architecture's place, images and classes aside; by default itself."""
        return architecture

    @classmethod
    def time_limit(cls, config: ConfigT) -> float | None:
        """Seconds after which a training of usual length is given up; None for never. The engine keeps it too.

        By default the config's ``timeout``, if it has one: what ``--trial-timeout`` sets.
        """
        seconds = getattr(config, "timeout", None)
        return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None

    @classmethod
    def wants_gpu(cls, config: ConfigT) -> bool:
        """Whether an evaluation uses a GPU where there is one."""
        return False

    @classmethod
    def images(cls, config: ConfigT) -> dict[str, Any]:
        """What it trains on, as ``nas-train`` takes it: data, resolution, mirror, device; empty without images."""
        return {}

    @classmethod
    def keeping(cls, config: ConfigT, folder: Path) -> ConfigT:
        """The config with which trainings leave their state in a folder, so that longer ones continue them.

        Raises:
            InputError: It cannot train on.
        """
        raise InputError("promote needs an evaluator that can train on, such as proxy")

    @classmethod
    def with_weights(cls, config: ConfigT, path: Path) -> ConfigT:
        """The config in a search whose shared weights (`evaluator.shared`) are kept at `path`; by default itself."""
        return config

    @classmethod
    def scaled_from(cls, config: ConfigT, resolution: int) -> ConfigT:
        """The config for networks scaled from one of this resolution: larger ones are to see larger images."""
        return config

    @classmethod
    def deployed_as(cls, config: ConfigT, resolution: int, macs: int) -> ConfigT:
        """The config for networks that are deployed at this resolution and about this cost."""
        return config

    @classmethod
    def in_full(cls, config: ConfigT, resolution: int | None) -> ConfigT:
        """The config that trains the networks themselves, not what stands for them, and judges by images of its own.

        Args:
            config: A search's.
            resolution: What the networks are deployed at; None where they are not for these images.
        """
        return config

    @classmethod
    def trained_as(cls, config: ConfigT, resolution: int | None) -> str:
        """What it trains in the place of a network for this resolution, a few words; empty where it trains nothing."""
        return ""

    @classmethod
    def with_seed(cls, config: ConfigT, seed: int) -> ConfigT:
        """The config with another seed, where the seed is the config's and not the trial's."""
        return config

    @classmethod
    def with_noise(cls, config: ConfigT, deviation: float) -> ConfigT:
        """The config whose accuracies have noise of this standard deviation, as trainings do.

        Raises:
            InputError: It is no benchmark.
        """
        raise InputError(f"{cls.__name__} has no noise to set: it is no benchmark")

    def describe(self) -> dict[str, Any]:
        """What was used, for the run's record: data set, images, device. Plain JSON values."""
        return {}
