"""What measured numbers allow to be said: paired differences over seeds, and how well two rankings agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean and how well it is known."""

    mean: float
    standard_error: float
    """Standard deviation of the values over the root of their number."""

    def __str__(self) -> str:
        return f"{self.mean:.2%} +- {self.standard_error:.2%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Mean):
    """The mean of paired differences and Student's interval around it."""

    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A standard deviation and how well it is known."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    freedom: int
    """Degrees of freedom."""

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_of(values: Sequence[float]) -> Mean:
    """Mean and standard error of at least two values."""
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Mean(mean=float(np.mean(values)), standard_error=spread)


def paired_difference(first: Sequence[float], second: Sequence[float], comparisons: int) -> Difference:
    """`first` minus `second`, paired by position.

    Args:
        first: Accuracies, one a seed.
        second: Accuracies on the same seeds.
        comparisons: How many comparisons share the 5 % chance of a false alarm (Bonferroni): a winner that was picked
            as the best of several looks better than it is.
    """
    from scipy import special  # slow to load, and help screens do without

    difference = mean_of([a - b for a, b in zip(first, second, strict=True)])
    quantile = float(special.stdtrit(len(first) - 1, 1 - (1 - CONFIDENCE) / (2 * comparisons)))
    reach = quantile * difference.standard_error
    return Difference(
        mean=difference.mean,
        standard_error=difference.standard_error,
        low=difference.mean - reach,
        high=difference.mean + reach,
    )


def leads(scores: Sequence[Sequence[float]]) -> list[Difference]:
    """How far the first is ahead of each of the others, in their order, with intervals that hold for all pairs at once.

    Args:
        scores: For each, accuracies on the same seeds.
    """
    first, *others = scores
    return [paired_difference(first, other, math.comb(len(scores), 2)) for other in others]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Kendall's tau-b of two rankings of the same networks, with a bootstrap interval over networks."""

    tau: float
    """1 for the same order, 0 for none in common, -1 for the opposite."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    networks: int

    def __str__(self) -> str:
        return f"{self.tau:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


Score = Sequence[float] | Sequence[Sequence[float]]
"""One number a network; or several such scores, whose taus are averaged."""


def rank_correlation(first: Score, second: Sequence[float], seed: int) -> RankCorrelation:
    """Tau-b of two scores of the same networks.

    Networks are drawn with replacement, as many as there are, `RESAMPLES` times; the interval is the middle
    `CONFIDENCE` of the resampled taus (percentile bootstrap). A ranking in which all are equal agrees with nothing: 0.

    Args:
        first: A score of at least two networks.
        second: Another, in the same order.
        seed: Of the resampling.
    """
    taus = _resampled_taus(first, second, seed)
    low, high = _middle(taus[1:])
    return RankCorrelation(tau=float(taus[0]), low=low, high=high, networks=len(second))


def rank_advantage(score: Score, rival: Score, truth: Sequence[float], seed: int) -> RankCorrelation:
    """How much better one score ranks than another: the difference of their taus with the truth, on the same draws.

    Args:
        score: Of each network.
        rival: Another.
        truth: What both are to rank as.
        seed: Of the resampling.

    Returns:
        The difference in the place of a tau.
    """
    taus = _resampled_taus(score, truth, seed) - _resampled_taus(rival, truth, seed)
    low, high = _middle(taus[1:])
    return RankCorrelation(tau=float(taus[0]), low=low, high=high, networks=len(truth))


def deviation(residual_squares: float, freedom: int) -> Deviation:
    """A standard deviation from a sum of squares, with its interval (chi-squared)."""
    from scipy import special  # slow to load, and help screens do without

    tail = (1 - CONFIDENCE) / 2
    low, high = (math.sqrt(residual_squares / float(special.chdtri(freedom, p))) for p in (tail, 1 - tail))
    return Deviation(value=math.sqrt(residual_squares / freedom), low=low, high=high, freedom=freedom)


def exceeds(larger: Deviation, smaller: Deviation) -> bool:
    """Whether one deviation is larger than another beyond chance: one-sided F test at 5 %."""
    from scipy import special  # slow to load, and help screens do without

    if smaller.value == 0:
        return larger.value > 0
    return float(special.fdtrc(larger.freedom, smaller.freedom, (larger.value / smaller.value) ** 2)) < 1 - CONFIDENCE


def at_chance(accuracies: Sequence[float], described: Mapping[str, Any]) -> str:
    """Why accuracies are those of guessing; empty where they are not, or nobody knows what guessing gives.

    Even the best of them lies within what always answering the largest class gives on so many images (binomial, the
    5 % chance of a false alarm shared among all).

    Args:
        accuracies: Of distinct trainings.
        described: What the evaluator said of itself: `majority_share` and `validation_images` count.
    """
    share, images = described.get("majority_share"), described.get("validation_images")
    if not (isinstance(share, float) and isinstance(images, int) and images > 0 and 0 < share < 1 and accuracies):
        return ""
    from scipy import special  # slow to load, and help screens do without

    likely = special.bdtr(np.arange(images + 1), images, share) < 1 - 0.05 / len(accuracies)
    if max(accuracies) > float(likely.sum()) / images:
        return ""
    return f"accuracies, {max(accuracies):.1%} at best, are those of always answering the largest class ({share:.1%})"


def _resampled_taus(first: Score, second: Sequence[float], seed: int) -> np.ndarray:
    """Tau-b of all networks, then of `RESAMPLES` draws: shape (1 + RESAMPLES,)."""
    number = len(second)
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(number, np.full(number, 1 / number), RESAMPLES)  # how often each network is drawn
    counts = np.vstack([np.ones(number), draws])
    y = _order(np.asarray(second, float))
    untied_y = _quadratic(counts, y**2)
    taus = []
    for x in map(_order, np.atleast_2d(np.asarray(first, float))):
        # A network drawn twice ties with itself: the diagonals are zero.
        agreeing, untied_x = (_quadratic(counts, matrix) for matrix in (x * y, x**2))
        taus.append(agreeing / np.sqrt(np.maximum(untied_x * untied_y, 1.0)))
    mean: np.ndarray = np.mean(taus, 0)
    return mean


def _order(score: np.ndarray) -> np.ndarray:
    """(N, N): 1 where the first of two networks scores higher, -1 where lower."""
    signs: np.ndarray = np.sign(np.subtract.outer(score, score))
    return signs


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)


def _quadratic(counts: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sum over pairs of networks (N, N) for each row of counts (R, N): shape (R,)."""
    total: np.ndarray = ((counts @ matrix) * counts).sum(1)
    return total
