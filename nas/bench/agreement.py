"""How well cheap evaluations rank networks whose ImageNet accuracy is published.

Kendall's tau over networks drawn from everywhere, and inside a band of MACs, where a search at a target really works;
what an evaluation costs; and how much of a score is its seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluator.base import Evaluation, Evaluator
from evaluator.registry import EVALUATORS
from evaluator.tabular.accel_nasbench import Published
from nas import config
from nas.engines.base import Job
from nas.engines.local import evaluate_safely
from nas.statistics import RankCorrelation, rank_correlation
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import named
from search_space.seeding import derive_seed

NOISE_NETWORKS, NOISE_SEEDS = 5, 3
FAILED = -1e6  # the score of a network that could not be scored: below all others
HEADER = f"{'score':<34}{'tau all':>22}{'tau band':>22}{'seconds':>9}{'seed noise':>12}{'spread':>9}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one way to score networks is worth."""

    name: str
    everywhere: RankCorrelation
    band: RankCorrelation
    seconds: float
    """Mean wall time of one evaluation."""
    noise: float
    """Standard deviation over seeds that can change a ranking: what a seed does to all networks alike is left out."""
    spread: float
    """Standard deviation over the networks of the band, in the same unit."""

    def __str__(self) -> str:
        taus = f"{self.everywhere!s:>22}{self.band!s:>22}"
        return f"{self.name:<34}{taus}{self.seconds:>9.2f}{self.noise:>12.4f}{self.spread:>9.4f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Published networks to score, distinct, the first `num_everywhere` from everywhere."""

    networks: tuple[Published, ...]
    everywhere: tuple[int, ...]
    """Indices of the networks drawn from everywhere."""
    band: tuple[int, ...]
    """Indices of the networks drawn from the band."""


def choose(published: Sequence[Published], number: int, band: tuple[int, int], seed: int) -> Sample:
    """Draw distinct networks: `number` from everywhere, and more from the band until it has as many.

    Raises:
        InputError: Fewer than 2 networks are asked for, or fewer than 2 lie in the band.
    """
    distinct = list({p.architecture.key: p for p in published}.values())
    inside = [i for i, p in enumerate(distinct) if band[0] <= p.macs <= band[1]]
    if number < 2:
        raise InputError(f"--networks must be at least 2, got {number}")
    if len(inside) < 2:
        raise InputError(f"--band {band[0]}-{band[1]}: {len(inside)} published networks lie in it; 2 are needed")
    generator = np.random.default_rng(derive_seed(seed, "fidelity"))
    drawn = [int(i) for i in generator.permutation(len(distinct))[:number]]
    more = [int(i) for i in generator.permutation(inside) if i not in drawn]
    known = [i for i in drawn if i in set(inside)]
    chosen = (known + more)[: max(number, len(known))]
    order = drawn + [i for i in chosen if i not in drawn]
    place = {index: position for position, index in enumerate(order)}
    return Sample(
        networks=tuple(distinct[i] for i in order),
        everywhere=tuple(range(len(drawn))),
        band=tuple(place[i] for i in chosen),
    )


def make(spec: str, data: str | None) -> Evaluator[Any]:
    """The evaluator of a ``name/preset``, on these images where it looks at any.

    Raises:
        InputError: Unknown names, or data that are not there.
    """
    name, _, preset = spec.partition("/")
    wanted = {"name": name, "preset": preset or "default"}
    component = config.merge({"evaluator": wanted}, [])["evaluator"]
    cls, settings = config.make("evaluator", component)
    if data is not None and cls.images(settings):
        component = config.merge({"evaluator": wanted | {"data": data}}, [])["evaluator"]
        cls, settings = config.make("evaluator", component)
    evaluator: Evaluator[Any] = cls(settings)
    return evaluator


def measure(name: str, evaluator: Evaluator[Any], sample: Sample, seed: int) -> Iterator[Row]:
    """One row by accuracy and, where there is one, another by validation loss.

    All networks are scored on one seed: a comparison is paired, as in a search that knows what it is doing.
    """
    architectures = [p.architecture for p in sample.networks]
    evaluations = _evaluate(evaluator, architectures, derive_seed(seed, "fidelity", 0))
    few = sample.band[:NOISE_NETWORKS]
    again = [[evaluations[i] for i in few]]
    for repeat in range(1, NOISE_SEEDS):
        other = type(evaluator)(evaluator.with_seed(evaluator.config, repeat))
        again.append(_evaluate(other, [architectures[i] for i in few], derive_seed(seed, "fidelity", repeat)))
    seconds = float(np.mean([e.seconds for e in evaluations]))
    for suffix, read in (("", _accuracy), (", by validation loss", _minus_loss)):
        if read is _accuracy or evaluations[0].losses:
            scores = [read(e) for e in evaluations]
            noise = seed_noise([[read(e) for e in row] for row in again])
            yield _row(name + suffix, scores, sample, seconds, noise, seed)


def macs_row(sample: Sample, seed: int) -> Row:
    """How well the published MACs alone rank, in billions."""
    return _row("MACs", [p.macs / 1e9 for p in sample.networks], sample, 0.0, 0.0, seed)


def seed_noise(scores: Sequence[Sequence[float]]) -> float:
    """Standard deviation of scores (seeds, networks) without what a network or a seed has in common."""
    table = np.asarray(scores, float)
    residual = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(np.sqrt((residual**2).sum() / freedom)) if freedom else 0.0


def _row(name: str, scores: Sequence[float], sample: Sample, seconds: float, noise: float, seed: int) -> Row:
    def against_truth(index: Sequence[int]) -> RankCorrelation:
        return rank_correlation([scores[i] for i in index], [sample.networks[i].accuracy for i in index], seed)

    spread = float(np.std([scores[i] for i in sample.band], ddof=1))
    everywhere, band = against_truth(sample.everywhere), against_truth(sample.band)
    return Row(name=name, everywhere=everywhere, band=band, seconds=seconds, noise=noise, spread=spread)


def _evaluate(evaluator: Evaluator[Any], architectures: Sequence[Architecture], seed: int) -> list[Evaluation]:
    jobs = [Job(trial=i, architecture=architecture, seed=seed) for i, architecture in enumerate(architectures)]
    return [evaluate_safely(evaluator, job) for job in jobs]


def _accuracy(evaluation: Evaluation) -> float:
    return FAILED if evaluation.accuracy is None else evaluation.accuracy


def _minus_loss(evaluation: Evaluation) -> float:
    return -evaluation.losses[-1] if evaluation.status == "ok" else FAILED


def every_preset() -> list[str]:
    """Every evaluator that measures, by ``name/preset``; what looks up, or needs weights of a search, is left out."""
    specs = []
    for name in EVALUATORS:
        if EVALUATORS[name].startswith(("evaluator.tabular.", "evaluator.shared.")):
            continue
        cls, _ = named.load_object("evaluator", name, EVALUATORS)
        specs += [name if preset == "default" else f"{name}/{preset}" for preset in cls.presets]
    return specs
