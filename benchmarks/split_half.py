"""What the margin over EfficientNet-B0 that a search finds in the ImageNet table is worth.

    python -m benchmarks.split_half

Halves the published trainings at random, searches trees that are fitted to one half, and scores what it finds with
trees fitted to the other half, which had no part in the choice. Each half is searched once.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evaluator.base import Evaluation, Evaluator
from evaluator.objective import Objective
from evaluator.tabular import accel_nasbench
from evaluator.tabular.boosted_trees import fit
from evaluator.tabular.table import distinct, features
from nas import config
from nas.bench.run import Bench, Benchmark
from search_space.architecture import Architecture

B0 = Architecture.load("efficientnet-b0")


@dataclass(frozen=True, kw_only=True)
class HalfConfig:
    """Which trainings are known."""

    split: int = 0
    """Seed of the split."""
    part: int = 0
    """0 or 1: which half."""


class Half(Evaluator[HalfConfig]):
    """Accuracies from trees fitted to half of the trainings."""

    Config: ClassVar[type] = HalfConfig
    presets: ClassVar[dict[str, HalfConfig]] = {"default": HalfConfig()}

    def __init__(self, config: HalfConfig) -> None:
        super().__init__(config)
        rows, accuracy = distinct(accel_nasbench.read())
        order = np.random.default_rng(config.split).permutation(len(rows))
        known = np.array_split(order, 2)[config.part]
        self._trees = fit(rows[known], accuracy[known])

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """See `Evaluator.evaluate`."""
        return Evaluation(status="ok", accuracy=self._trees.predict(np.array(features(architecture))))


def bench(split: int, part: int, trials: int) -> Bench:
    """A search of one half, with the default controller."""
    half: dict[str, Any] = {"name": "benchmarks.split_half:Half", "split": split, "part": part}
    return Bench(
        Benchmark(
            space="accel-nasbench",
            evaluator=config.merge({"evaluator": half}, [])["evaluator"],
            objective=Objective(target_macs=400_000_000),
            controllers={"guided": config.component("controller", {"name": "guided"})},
            noise=0.0,
            trials=trials,
            batch=None,
        )
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--trials", type=int, default=200)
    args = parser.parse_args()
    margins = []
    print("split  by the half searched  by the other half   (margin of the reward over B0's)")
    for split in range(args.splits):
        halves = [bench(split, part, args.trials) for part in (0, 1)]
        for own, other in (halves, halves[::-1]):
            found = own.space.decode(own.run("guided", split, (0.0, 0)).tokens)
            margins.append([half.reward(found) / half.reward(B0) - 1 for half in (own, other)])
            print(f"{split:5d}  {margins[-1][0]:20.2%}  {margins[-1][1]:17.2%}", flush=True)
    for name, values in zip(("searched", "other"), np.array(margins).T, strict=True):
        print(f"by the {name} half: mean {values.mean():+.2%}, from {values.min():+.2%} to {values.max():+.2%}")


if __name__ == "__main__":
    main()
