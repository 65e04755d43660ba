"""The search's objective: accuracy and cost in one number, to be maximised.

Soft and hard are MnasNet's weighted product (arXiv:1807.11626, equation 2): ACC * (FLOPs / T)^w. Absolute is TuNAS'
sum (arXiv:2008.06120, section 3): ACC + w * |FLOPs / T - 1|, which lands on the target instead of drifting below it.
A target of measured latency, where there is one, is a second factor or summand of the same form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search_space.errors import InputError

Kind = Literal["soft", "hard", "absolute"]

SLOPES: dict[str, tuple[float, float]] = {
    "soft": (-0.07, -0.07),  # MnasNet section 3 and EfficientNet section 4: doubling the cost is worth 5 % accuracy
    "hard": (0.0, -1.0),  # MnasNet section 3
    "absolute": (-0.10, -0.10),  # the default of TuNAS' released search
}
"""Default (alpha, beta) of each kind."""


def with_exponent(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An objective's settings without ``exponent``, which is short for its slopes; below the target, hard has none."""
    found = dict(settings)
    if (exponent := found.pop("exponent", None)) is not None:
        found |= {"beta": exponent} if found["kind"] == "hard" else {"alpha": exponent, "beta": exponent}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How accuracy is traded for multiply-adds.

    Raises:
        InputError: A field out of range, by name, with its value and what is allowed.
    """

    target_macs: int
    """T: multiply-adds of the network that is wanted."""
    kind: Kind = "soft"
    """``soft`` or ``hard`` weighted product, or ``absolute`` sum; EfficientNet-B0 was found with ``soft``."""
    alpha: float | None = None
    """w where MACs <= T: the exponent, or the slope of ``absolute``; None for the kind's own (see `SLOPES`)."""
    beta: float | None = None
    """w where MACs > T; None for the kind's own."""
    target_latency_ms: float | None = None
    """Milliseconds an image that are wanted, as measured, traded with the same w; None leaves latency out."""
    latency_device: Literal["cpu", "cuda"] = "cpu"
    """Where latency is measured, with one thread on a CPU."""

    def __post_init__(self) -> None:
        if self.kind not in SLOPES:
            raise InputError(f"kind must be one of {', '.join(SLOPES)}, got {self.kind!r}")
        if not isinstance(self.target_macs, int) or isinstance(self.target_macs, bool) or self.target_macs < 1:
            raise InputError(f"target_macs must be a whole number of at least 1, got {self.target_macs!r}")
        latency = self.target_latency_ms
        if latency is not None and not (math.isfinite(latency) and latency > 0):
            raise InputError(f"target_latency_ms must be above 0, got {latency!r}")
        if self.latency_device not in ("cpu", "cuda"):
            raise InputError(f"latency_device must be cpu or cuda, got {self.latency_device!r}")
        for name, default in zip(("alpha", "beta"), SLOPES[self.kind], strict=True):
            value = default if getattr(self, name) is None else getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not -10 <= value <= 0:
                raise InputError(f"{name} must be a number from -10 to 0, got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.kind == "absolute" and self.beta == 0:
            raise InputError("beta must be below 0 where kind is absolute, got 0.0")

    def reward(self, accuracy: float, macs: int, latency_ms: float | None = None) -> float:
        """The number to maximise for a network of this accuracy, in [0, 1], and cost.

        Args:
            accuracy: Validation accuracy.
            macs: Multiply-adds an image.
            latency_ms: Measured milliseconds an image; None, where nothing was measured, leaves latency out.
        """
        ratios = [macs / self.target_macs]
        if self.target_latency_ms is not None and latency_ms is not None:
            ratios.append(latency_ms / self.target_latency_ms)
        if self.kind == "absolute":
            return accuracy + sum(self._penalty(ratio) for ratio in ratios)
        return accuracy * math.prod(self._factor(ratio) for ratio in ratios)

    @property
    def rewards_low_latency(self) -> bool:
        """Whether a latency below its target raises a reward above that of the accuracy and MACs alone."""
        return self.target_latency_ms is not None and self.kind != "absolute" and self.alpha != 0

    def accuracy_for(self, reward: float, macs: int) -> float:
        """The accuracy at which a network of this cost has this reward: a line of equal reward in a plot."""
        if self.kind == "absolute":
            return reward - self._penalty(macs / self.target_macs)
        return reward / self._factor(macs / self.target_macs)

    def _slope(self, ratio: float) -> float:
        slope = self.alpha if ratio <= 1 else self.beta
        assert slope is not None, "__post_init__ fills in the kind's own"
        return slope

    def _penalty(self, ratio: float) -> float:
        return self._slope(ratio) * abs(ratio - 1)

    def _factor(self, ratio: float) -> float:
        return float(ratio ** self._slope(ratio))
