"""How many trainings weights that all networks share save a search, on a small space whose networks were all trained.

    python -m benchmarks.sharing.searches --data cifar10:DIR --out sharing-cifar10
    python -m benchmarks.sharing.searches --data cifar10:DIR --out sharing-cifar10 \
        --table benchmarks/sharing/small_cifar10_long.csv

The truth is a table beside this file (`benchmarks.sharing.truth`). For every seed shared weights are trained for real,
and `guided` searches the table with their loss as its guess and without. Counted are trainings until a network of the
best 1 % by reward is found, and one of the best 4 %: the best of all is chance to a good part. What the shared training
cost is given in trainings of the table. Everything is kept in --out. With --known TAUS also how good a guess would have
to be: the accuracies themselves, with noise.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.sharing.truth import SPACE, TABLE, accuracies, networks
from evaluator.data.dataset import Dataset, load_dataset
from evaluator.objective import Objective
from evaluator.shared.evaluator import Shared, SharedConfig
from evaluator.shared.network import SharedNetwork
from evaluator.shared.scoring import SharedScorer, hold_out
from evaluator.shared.training import BATCH_SIZE, SharedTraining
from nas.bench.run import Bench, Benchmark
from nas.config import component
from nas.problem import make_problem
from nas.statistics import paired_difference, rank_correlation
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io.files import make_folder, write_atomic
from search_space.space import SearchSpace

BEST = 0.01, 0.04
"""Shares of the networks that a search is to find one of."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--images", default="30000,60000", help="that the shared training sees, comma-separated")
    parser.add_argument("--width", type=float, help="of the shared network (default: what a search takes)")
    parser.add_argument("--known", default="", help="taus of guesses made from the accuracies, comma-separated")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    make_folder(args.out)
    torch.set_num_threads(1)
    rows = list(csv.DictReader(args.table.read_text().splitlines()))
    seconds = statistics.mean(float(row["seconds"]) for row in rows)
    known = accuracies(args.table)
    all_of_them = networks(SearchSpace.load(SPACE))
    macs = int(statistics.median(count(network).macs for network in all_of_them.values()))
    objective = Objective(target_macs=macs)
    rewards = sorted(
        (objective.reward(known[tokens], count(network).macs) for tokens, network in all_of_them.items()),
        reverse=True,
    )
    bars = [rewards[max(1, round(best * len(rewards))) - 1] for best in BEST]
    dataset, seeds = load_dataset(args.data), range(args.first_seed, args.first_seed + args.seeds)
    args.width = args.width or Shared.deployed_as(SharedConfig(), dataset.train.images.shape[-1], macs).width
    print(f"{len(rows)} networks, T = {macs / 1e6:.2f}M: trainings until one of the best by reward is found")
    without = [_search(args.table, objective, bars, seed, None) for seed in seeds]
    truth = [known[tokens] for tokens in all_of_them]
    free = rank_correlation([count(network).params for network in all_of_them.values()], truth, 0).tau
    print(f"number of parameters, tau {free:+.2f}")
    _print(without)
    for images in sorted(map(int, args.images.split(","))):
        shared = [_losses(args, dataset, list(all_of_them.values()), images, seed) for seed in seeds]
        found = [
            _search(args.table, objective, bars, seed, losses) for seed, (losses, _) in zip(seeds, shared, strict=True)
        ]
        taus = [rank_correlation([-losses[n.key] for n in all_of_them.values()], truth, 0).tau for losses, _ in shared]
        costs = [spent / seconds for _, spent in shared]
        print(f"shared loss after {images:,} images, tau {np.mean(taus):+.2f}, cost {np.mean(costs):.1f} trainings")
        _print(found, without, costs)
    for tau in map(float, filter(None, args.known.split(","))):
        guesses = [_noisy({n.key: known[t] for t, n in all_of_them.items()}, tau, seed) for seed in seeds]
        print(f"accuracy with noise, tau {tau:+.2f}")
        _print([_search(args.table, objective, bars, s, guess) for s, guess in zip(seeds, guesses, strict=True)])


def _print(found: list[list[int]], without: Sequence[list[int]] = (), costs: Sequence[float] = ()) -> None:
    """Trainings until each bar, by seed; what is saved in all where the shared trainings have costs."""
    for i, best in enumerate(BEST):
        own = [row[i] for row in found]
        line = f"  best {best:.0%}: median {statistics.median(own):.1f}, mean {statistics.mean(own):.1f}"
        if costs:
            in_all = [trainings + cost for trainings, cost in zip(own, costs, strict=True)]
            saved = paired_difference([row[i] for row in without], in_all, 1)
            line += f", saved in all {saved.mean:.1f} [{saved.low:.1f}, {saved.high:.1f}]"
        print(f"{line}; each: {' '.join(map(str, sorted(own)))}", flush=True)


def _noisy(truth: dict[str, float], tau: float, seed: int) -> dict[str, float]:
    """What would stand in the place of a loss if its tau with the accuracies were so high, by normal noise."""
    correlation = math.sin(math.pi / 2 * tau)  # of two normal variables
    known = np.array(list(truth.values()))
    noise = np.random.default_rng(seed).normal(0.0, known.std() * math.sqrt(1 / correlation**2 - 1), len(known))
    return dict(zip(truth, (-(known + noise)).tolist(), strict=True))


def _search(
    table: Path, objective: Objective, bars: list[float], seed: int, losses: dict[str, float] | None
) -> list[int]:
    """Trainings until a reward of each bar; one more than there are networks where it is never found."""
    evaluator = component("evaluator", {"name": f"table:{table}", "space": str(SPACE)})
    controllers = {"guided": component("controller", {"name": "guided"})}
    trials = sum(1 for _ in table.read_text().splitlines()) - 1
    made = Bench(
        Benchmark(
            space=str(SPACE),
            evaluator=evaluator,
            objective=objective,
            controllers=controllers,
            noise=0.0,
            trials=trials,
            batch=None,
        )
    )
    if losses is not None:
        made.problem = make_problem(made.space, objective, None, lambda network: losses[network.key])
    run = made.run("guided", seed, None)
    return [next((i for i, reward in enumerate(run.best, 1) if reward >= bar), trials + 1) for bar in bars]


def _losses(
    args: argparse.Namespace, dataset: Dataset, all_of_them: list[Architecture], images: int, seed: int
) -> tuple[dict[str, float], float]:
    """The loss of every network by weights that were trained on so many images, and the CPU seconds; both are kept.

    A training goes on from where it was left for fewer images.
    """
    known, kept = args.out / f"{seed}.json", args.out / f"{seed}.pt"
    rows = json.loads(known.read_text()) if known.exists() else {}
    if str(images) not in rows:
        start, data = time.process_time(), dataset.train
        shared = SharedNetwork(
            SearchSpace.load(SPACE),
            width=args.width,
            unstrided=0,
            resolution=data.images.shape[-1],
            classes=len(dataset.classes),
        )
        train, scored = hold_out(data.labels, seed)
        costs = [count(network).macs for network in all_of_them]
        macs = min(costs), max(costs)
        training = SharedTraining(shared, data, train, mirror=dataset.mirror, seed=seed, macs=macs)
        if rows:
            training.load(kept)
        training.run(kept, steps=images // BATCH_SIZE)
        trained = time.process_time() - start + max((row["training"] for row in rows.values()), default=0.0)
        start = time.process_time()
        found = SharedScorer(shared, training.trained, data, scored).losses(all_of_them)
        losses = {network.key: loss for network, loss in zip(all_of_them, found, strict=True)}
        row = {"losses": losses, "training": trained, "scoring": time.process_time() - start}
        write_atomic(known, json.dumps(rows | {str(images): row}))
    row = json.loads(known.read_text())[str(images)]
    return row["losses"], row["training"] + row["scoring"]


if __name__ == "__main__":
    main()
