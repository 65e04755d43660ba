"""A Gaussian process of accuracy over token sequences: what was evaluated says what to expect of the rest.

The kernel has three parts (Rasmussen and Williams 2006, chapters 2 and 5): a linear one over the choices, so each
choice has an effect of its own; a linear one over the features that are known before training; and a product of
exponentials of the number of differing choices and of the distance in features, for all that is not additive. Its
mean is made of guesses at accuracy, as far as the observations bear them out.

Shapes: N observations, M queries, D decisions, F features, G guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from search_space.decision import Decision, Tokens, sample_tokens

Array = NDArray[np.float64]

_PRIOR_MEAN = np.log([0.5, 0.5, 0.5, 18.0, 1.0, 0.01])
"""Centre of the log-normal prior of the kernel's settings.

A search clusters its observations, and these alone would let choices reach far and the model be too sure of what lies
between: the prior of both reaches is narrow.
"""
_PRIOR_STD = np.array([1.0, 1.0, 1.0, 0.3, 0.3, 1.5])
_SCALE_SAMPLES = 256
_UNTRAINED = 0.5, 0.05
"""Mean and standard deviation of accuracy as long as nothing was trained."""
_COEFFICIENT = 0.6
"""Prior mean of the first guess's coefficient, both standardised. That of the others is 0."""
_COEFFICIENT_WEIGHT = 10.0
"""How many observations the prior of a coefficient counts for."""
_LEAST_T = 3.0
"""How many standard errors the coefficient of another guess must have to be used: one of no use would mislead."""
_SWEEPS = 4  # of coordinate steps on the posterior of the kernel's settings


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Token sequences as numbers."""

    hot: Array
    """(N, sum of choices) one-hot codes."""
    centred: Array
    """The same, each decision's centred, over sqrt(D)."""
    features: Array
    """(N, F) standardised."""
    guesses: Array
    """(N, G) standardised."""


class Surrogate:
    """Predicts accuracy from tokens, with uncertainty."""

    def __init__(
        self,
        decisions: Sequence[Decision],
        features: Callable[[Tokens], tuple[float, ...]] | None,
        guesses: Callable[[Tokens], tuple[float, ...]] | None,
        generator: np.random.Generator,
    ) -> None:
        """Start without observations.

        Args:
            decisions: The space's decisions.
            features: What is known of a network before it is trained; None for nothing.
            guesses: The first rises with the accuracy that is expected before anything was trained, others may; None
                for no expectation.
            generator: Randomness of the sample that scales features and guesses.
        """
        self._decisions = tuple(decisions)
        self._features = features
        self._guesses = guesses
        self._memo: dict[Tokens, tuple[tuple[float, ...], tuple[float, ...]]] = {}
        self._log = _PRIOR_MEAN.copy()
        sample = [sample_tokens(decisions, generator) for _ in range(_SCALE_SAMPLES)]
        known = self._known(sample)
        self._scales = [(raw.mean(0), raw.std(0) + 1e-9) for raw in known]
        self._mean, self._std = _UNTRAINED
        self._variance = self._std**2
        self._prior_coefficients: Array = np.zeros(known[1].shape[1])
        self._prior_coefficients[0] = _COEFFICIENT
        self._coefficients: Array = self._prior_coefficients
        self._fitted: _Inputs | None = None

    def fit(self, tokens: Sequence[Tokens], accuracy: Sequence[float]) -> dict[str, float]:
        """Find the kernel's settings that explain observations best, and condition on these.

        Args:
            tokens: N sequences.
            accuracy: Their accuracies, in [0, 1].

        Returns:
            The settings, by name.
        """
        inputs = self._encode(tokens)
        target = self._residual(inputs, accuracy)
        parts = _parts(inputs, inputs)
        self._log = _PRIOR_MEAN.copy()
        for _ in range(_SWEEPS):
            self._climb(parts, target)
        self.condition(tokens, accuracy)
        names = ("choices", "features", "interactions", "reach_choices", "reach_features", "noise")
        return {name: round(float(np.exp(value)), 6) for name, value in zip(names, self._log, strict=True)}

    def condition(self, tokens: Sequence[Tokens], accuracy: Sequence[float]) -> None:
        """Predict from these observations, with the settings that were found before."""
        self._fitted = self._encode(tokens)
        target = self._residual(self._fitted, accuracy)
        self._factor = _factor(_kernel(_parts(self._fitted, self._fitted), self._log), self._log[5])
        half = solve_triangular(self._factor, target, lower=True)
        self._variance = self._std**2 * float(half @ half) / len(target)
        self._weights = solve_triangular(self._factor, half, lower=True, trans="T")

    def _residual(self, inputs: _Inputs, accuracy: Sequence[float]) -> Array:
        """(N,) standardised accuracies without what the guesses explain."""
        y = np.asarray(accuracy)
        self._mean, self._std = float(y.mean()), float(y.std()) or 1e-3
        target = (y - self._mean) / self._std
        known = inputs.guesses
        coefficients, error = _ridge(known, target, self._prior_coefficients)
        significant = np.abs(coefficients) > _LEAST_T * error
        significant[0] = True
        self._coefficients = np.zeros_like(coefficients)
        self._coefficients[significant], _ = _ridge(
            known[:, significant], target, self._prior_coefficients[significant]
        )
        residual: Array = target - known @ self._coefficients
        return residual

    def _climb(self, parts: tuple[Array, Array, Array, Array], target: Array) -> None:
        """One sweep of coordinate steps on the posterior of the kernel's settings."""
        best = _log_posterior(parts, self._log, target)
        for i in range(len(self._log)):
            for step in (0.7, -0.7):
                trial = self._log.copy()
                trial[i] += step
                value = _log_posterior(parts, trial, target)
                if value > best:
                    best, self._log = value, trial
                    break

    def predict(self, tokens: Sequence[Tokens]) -> tuple[Array, Array]:
        """Mean (M,) and variance (M,) of the accuracy of each query, without noise."""
        query = self._encode(tokens)
        choices, features, interactions = np.exp(self._log[:3])
        prior = choices * (query.centred**2).sum(1) + features * (query.features**2).mean(1) + interactions
        mean, half = self._condition(query)
        return mean, self._variance * np.maximum(prior - (half**2).sum(0), 0)

    def predict_jointly(self, tokens: Sequence[Tokens]) -> tuple[Array, Array]:
        """Mean (M,) of the accuracy of each query, and covariance (M, M) between them, without noise."""
        query = self._encode(tokens)
        prior = _kernel(_parts(query, query), self._log)
        mean, half = self._condition(query)
        return mean, self._variance * (prior - half.T @ half)

    def _condition(self, query: _Inputs) -> tuple[Array, Array]:
        """Mean (M,), and what the observations explain: factor^-1 times their kernel with the queries (N, M)."""
        expected = query.guesses @ self._coefficients
        if self._fitted is None:
            return np.asarray(self._mean + self._std * expected), np.zeros((0, len(expected)))
        cross = _kernel(_parts(self._fitted, query), self._log)
        half = np.asarray(solve_triangular(self._factor, cross, lower=True), dtype=np.float64)
        return np.asarray(self._mean + self._std * (expected + cross.T @ self._weights)), half

    def _encode(self, tokens: Sequence[Tokens]) -> _Inputs:
        values = np.asarray(tokens, dtype=np.int64)
        sizes = [len(decision.choices) for decision in self._decisions]
        hot = np.zeros((len(values), sum(sizes)))
        hot[np.arange(len(values))[:, None], values + np.cumsum([0, *sizes[:-1]])] = 1
        centre = np.concatenate([np.full(size, 1 / size) for size in sizes])
        features, guesses = (
            (raw - mean) / std for raw, (mean, std) in zip(self._known(tokens), self._scales, strict=True)
        )
        return _Inputs(hot, (hot - centre) / np.sqrt(len(sizes)), features, guesses)

    def _known(self, tokens: Sequence[Tokens]) -> tuple[Array, Array]:
        """(N, F) features and (N, G) guesses; one column of zeros for what there is none of."""
        for key in tokens:
            if key not in self._memo:
                features = self._features(key) if self._features else (0.0,)
                self._memo[key] = features, self._guesses(key) if self._guesses else (0.0,)
        return np.array([self._memo[key][0] for key in tokens]), np.array([self._memo[key][1] for key in tokens])


def _ridge(guesses: Array, target: Array, prior: Array) -> tuple[Array, Array]:
    """Ridge regression towards `prior`: (G,) coefficients and their standard errors."""
    evidence = guesses.T @ guesses + _COEFFICIENT_WEIGHT * np.eye(len(prior))
    coefficients = np.asarray(np.linalg.solve(evidence, guesses.T @ target + _COEFFICIENT_WEIGHT * prior), np.float64)
    variance = float(np.square(target - guesses @ coefficients).mean())
    return coefficients, np.sqrt(np.diag(np.linalg.inv(evidence)) * variance)


def _parts(a: _Inputs, b: _Inputs) -> tuple[Array, Array, Array, Array]:
    """Of each pair: inner products of choices and of features, differing choices, squared distance of features."""
    differing = a.hot.sum(1, keepdims=True) - a.hot @ b.hot.T
    inner = a.features @ b.features.T
    squares = (a.features**2).sum(1)[:, None] + (b.features**2).sum(1)[None] - 2 * inner
    return a.centred @ b.centred.T, inner / a.features.shape[1], differing, squares


def _kernel(parts: tuple[Array, Array, Array, Array], log: Array) -> Array:
    choices, features, interactions, reach_choices, reach_features, _ = np.exp(log)
    linear, inner, differing, squares = parts
    product = np.exp(-differing / reach_choices - squares / (2 * reach_features**2))
    kernel: Array = choices * linear + features * inner + interactions * product
    return kernel


def _factor(kernel: Array, log_noise: float) -> Array:
    """The Cholesky factor of the kernel with noise; at least as much noise as rounding needs."""
    noise = max(float(np.exp(log_noise)), 1e-9 * float(kernel.trace()))
    return np.asarray(np.linalg.cholesky(kernel + noise * np.eye(len(kernel))), np.float64)


def _log_posterior(parts: tuple[Array, Array, Array, Array], log: Array, target: Array) -> float:
    """Log marginal likelihood, at the best overall scale of the kernel, plus log prior, both without constants."""
    count = len(target)
    factor = _factor(_kernel(parts, log), log[5])
    half = solve_triangular(factor, target, lower=True)
    likelihood = -0.5 * count * np.log(max(float(half @ half) / count, 1e-12)) - np.log(np.diag(factor)).sum()
    return float(likelihood - 0.5 * np.square((log - _PRIOR_MEAN) / _PRIOR_STD).sum())
