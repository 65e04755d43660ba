"""Whether one network is better than another, or only luckier: paired differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean and how well it is known."""

    mean: float
    standard_error: float
    """Standard deviation of the values over the root of their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Mean):
    """The mean of paired differences and Student's interval around it."""

    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def mean_of(values: Sequence[float]) -> Mean:
    """Mean and standard error of at least two values."""
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Mean(mean=float(np.mean(values)), standard_error=spread)


def compare(first: Sequence[float], second: Sequence[float], comparisons: int) -> Difference:
    """`first` minus `second`, paired by position.

    Args:
        first: Accuracies, one a seed.
        second: Accuracies on the same seeds.
        comparisons: How many comparisons share the 5 % chance of a false alarm (Bonferroni): a winner that was picked
            as the best of several looks better than it is.
    """
    from scipy.stats import t  # 0.3 s

    difference = mean_of([a - b for a, b in zip(first, second, strict=True)])
    quantile = float(t.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons), len(first) - 1))
    reach = quantile * difference.standard_error
    return Difference(
        mean=difference.mean,
        standard_error=difference.standard_error,
        low=difference.mean - reach,
        high=difference.mean + reach,
    )
