"""A plain function as an evaluator: ``accuracy(architecture, seed)`` gives a number or an `Evaluation`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from evaluator.base import Evaluation, Evaluator
from search_space.architecture import Architecture
from search_space.errors import InputError

Function = Callable[[Architecture, int], Any]


@dataclass(frozen=True, kw_only=True)
class FunctionConfig:
    """What a run may say of a function."""

    timeout: float | None = None
    """Seconds after which the engine gives a trial up; null for never."""

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise InputError(f"timeout must be above 0 seconds, got {self.timeout}")


class FunctionEvaluator(Evaluator[FunctionConfig]):
    """Calls a function; subclasses say which. What it returns is checked where any evaluator's result is."""

    Config: ClassVar[type] = FunctionConfig
    presets: ClassVar[dict[str, FunctionConfig]] = {"default": FunctionConfig()}
    function: ClassVar[Function]

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """See `Evaluator.evaluate`."""
        found: Evaluation = type(self).function(architecture, seed)
        return found


class External(FunctionEvaluator):
    """The evaluator of a run whose results are told from outside: it has no way to find any."""

    def __init__(self, config: FunctionConfig) -> None:
        """Refuse to evaluate.

        Raises:
            InputError: Always.
        """
        raise InputError("this run's accuracies are told from outside (ask and tell); name an evaluator to go on")


def as_evaluator_class(found: object, name: str) -> type[Evaluator[Any]]:
    """An evaluator's class from what a user named: a subclass of `Evaluator`, or a function.

    Args:
        found: What the name stands for.
        name: The name, for errors.

    Raises:
        InputError: It is neither, or the function does not take an architecture and a seed.
    """
    if isinstance(found, type):
        if not issubclass(found, Evaluator):
            raise InputError(f"evaluator {name}: must be a subclass of Evaluator or a function, got another class")
        return found
    if not callable(found):
        raise InputError(f"evaluator {name}: must be a subclass of Evaluator or a function, got {type(found).__name__}")
    try:
        inspect.signature(found).bind(None, 0)
    except (TypeError, ValueError):
        raise InputError(f"evaluator {name}: a function must take (architecture, seed)") from None
    return type("FunctionEvaluator", (FunctionEvaluator,), {"function": staticmethod(found), "__doc__": found.__doc__})


def as_evaluation(found: object, seconds: float) -> Evaluation:
    """What an evaluator returned as an `Evaluation`: one, or a number (NumPy's and torch's too) for an accuracy.

    Args:
        found: What was returned.
        seconds: Wall time of the call, for a plain number.

    Raises:
        InputError: It is neither, or no accuracy.
    """
    if isinstance(found, Evaluation):
        return found
    try:
        accuracy = float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        accuracy = math.nan
    if isinstance(found, bool | str | bytes) or not 0 <= accuracy <= 1:
        shown = f"{type(found).__name__} {found!r}" if isinstance(found, int | float | str) else type(found).__name__
        raise InputError(f"it must return an Evaluation or an accuracy from 0 to 1, got {shown}")
    return Evaluation(status="ok", accuracy=accuracy, curve=(accuracy,), seconds=seconds)
