"""How well one ranking agrees with another: Kendall's tau-b and how far chance may have moved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.90
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Kendall's tau-b of two rankings of the same networks, with a bootstrap interval over networks."""

    tau: float
    """1 for the same order, 0 for none in common, -1 for the opposite."""
    low: float
    """Lower end of the 90 % interval."""
    high: float
    networks: int

    def __str__(self) -> str:
        return f"{self.tau:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def agreement(first: Sequence[float], second: Sequence[float], seed: int) -> Agreement:
    """Tau-b of two scores of the same networks.

    Networks are drawn with replacement, as many as there are, `RESAMPLES` times; the interval is the middle
    `LEVEL` of the resampled taus (percentile bootstrap). A ranking in which all are equal agrees with nothing: 0.

    Args:
        first: One score a network, at least two networks.
        second: Another, in the same order.
        seed: Of the resampling.
    """
    x, y = (np.sign(np.subtract.outer(score, score)) for score in (np.asarray(first, float), np.asarray(second, float)))
    number = len(x)
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(number, np.full(number, 1 / number), RESAMPLES)  # how often each network is drawn
    # A network drawn twice ties with itself: the diagonals are zero.
    agreeing, untied_x, untied_y = (_quadratic(np.vstack([np.ones(number), draws]), m) for m in (x * y, x**2, y**2))
    taus = agreeing / np.sqrt(np.maximum(untied_x * untied_y, 1.0))
    low, high = np.quantile(taus[1:], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Agreement(tau=float(taus[0]), low=float(low), high=float(high), networks=number)


def _quadratic(counts: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sum over pairs of networks (N, N) for each row of counts (R, N): shape (R,)."""
    total: np.ndarray = ((counts @ matrix) * counts).sum(1)
    return total
