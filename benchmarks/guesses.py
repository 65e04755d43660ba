"""What a guess made before training is worth where it is right, useless or wrong: searches on twisted trainings.

    python -m benchmarks.guesses --seeds 10 [--first-seed 100] [--trials 150]

The truth is the packaged ImageNet trainings' (`--evaluator imagenet`), from which the effect of the number of
parameters at equal MACs is taken never (right), once (useless) or twice (wrong: more parameters are worse). `guided`
searches each with its guess, that accuracy rises with the number of parameters, and without. Best known is the best
that any search of the same truth found, climbed on by changing one or two decisions at a time.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from evaluator.base import Evaluation
from evaluator.objective import Objective
from evaluator.tabular.table import Imagenet, ImagenetConfig
from nas.bench.run import Bench, Benchmark, Run
from nas.config import component
from search_space.architecture import Architecture
from search_space.cost import count

TRUTHS = {"right": 0.0, "useless": 1.0, "wrong": 2.0}
MODELS = ("with", "without")
SAMPLES = 2000


class Twisted(Imagenet):
    """The trainings' accuracies, without the effect of parameters or with it turned round."""

    def __init__(self, config: ImagenetConfig, twist: float, networks: Sequence[Architecture]) -> None:
        super().__init__(config)
        self._twist = 0.0
        known = np.array([[*_logs(network), self.evaluate(network, 0).accuracy or 0.0] for network in networks])
        macs = np.column_stack([np.ones(len(known)), known[:, 0]])
        self._line = np.linalg.lstsq(macs, known[:, 1], rcond=None)[0]  # parameters to expect at given MACs
        more = known[:, 1] - macs @ self._line
        self._effect = float(np.linalg.lstsq(np.column_stack([macs, more]), known[:, 2], rcond=None)[0][2])
        self._twist = twist

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """See `Evaluator.evaluate`."""
        found = super().evaluate(architecture, seed, fidelity)
        if not self._twist or found.accuracy is None:
            return found
        macs, params = _logs(architecture)
        more = params - float(self._line @ [1.0, macs])
        accuracy = min(1.0, max(0.0, found.accuracy - self._twist * self._effect * more))
        return dataclasses.replace(found, accuracy=accuracy, curve=(accuracy,))


def _logs(architecture: Architecture) -> tuple[float, float]:
    cost = count(architecture)
    return math.log(cost.macs), math.log(cost.params)


@functools.cache
def bench(truth: str, model: str, trials: int) -> Bench:
    """The benchmark of one truth, once a process."""
    evaluator = component("evaluator", {"name": "imagenet"})
    objective = Objective(target_macs=400_000_000)
    asked = Benchmark(
        space="accel-nasbench",
        evaluator=evaluator,
        objective=objective,
        controllers={"guided": component("controller", {"name": "guided"})},
        noise=0.0,
        trials=trials,
        batch=None,
    )
    made = Bench(asked)
    generator = np.random.default_rng(0)
    networks = [made.space.sample(generator) for _ in range(SAMPLES)]
    made.exact = made.measured = Twisted(ImagenetConfig(), TRUTHS[truth], networks)
    if model == "without":
        made.problem = dataclasses.replace(made.problem, guesses=None)
    return made


def search(truth: str, model: str, trials: int, seed: int) -> tuple[Run, float]:
    """One search, and how far its best network can be climbed on."""
    made = bench(truth, model, trials)
    run = made.run("guided", seed, None)
    return run, made.climb(run.tokens)


def until(run: Run, bar: float) -> float:
    """Evaluations until a reward is reached; infinity where it never is."""
    return next((i for i, reward in enumerate(run.best, 1) if reward >= bar), math.inf)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print("truth    guess    reward at 50  at 100      99 %: median, most     99.9 %: median, within", flush=True)
    with ProcessPoolExecutor(args.jobs) as pool:
        for truth in TRUTHS:
            ends = {m: list(pool.map(functools.partial(search, truth, m, args.trials), seeds)) for m in MODELS}
            best = max(climbed for runs in ends.values() for _, climbed in runs)
            for model, runs in ends.items():
                at = [statistics.mean(run.best[n - 1] for run, _ in runs) for n in (50, 100)]
                near, nearest = ([until(run, share * best) for run, _ in runs] for share in (0.99, 0.999))
                found = sum(math.isfinite(n) for n in nearest)
                print(
                    f"{truth:<8} {model:<8} {at[0]:.4f}        {at[1]:.4f}"
                    f"      {statistics.median(near):>6} {max(near):>6}            {statistics.median(nearest):>6} "
                    f"{found:>3} of {len(runs)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
