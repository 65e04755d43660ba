"""Train every network of a small space on real images, and keep the accuracies as a table for nas-bench.

    python -m benchmarks.sharing.truth --data cifar10:DIR --workers 2 --out truth-cifar10

The space is small_space.yaml beside this file, the table small_cifar10.csv: means over --trainings of each network,
which differ by first weights and order of batches. Every training is kept in --out, and a run that was stopped goes on;
the table is written when all are there. small_cifar10_long.csv is another, of one longer training each.

    nas-bench --benchmark table:benchmarks/sharing/small_cifar10.csv --space benchmarks/sharing/small_space.yaml \
        --target-flops 1.4M
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.sharing.ranking import Length, train
from nas.statistics import rank_correlation
from search_space.architecture import Architecture
from search_space.decision import Tokens, canonical
from search_space.io.files import make_folder, write_atomic
from search_space.space import SearchSpace

HERE = Path(__file__).parent
SPACE = HERE / "small_space.yaml"
TABLE = HERE / "small_cifar10.csv"
JUDGED = 15_000
"""Held-out images that the trainings are scored on."""


def networks(space: SearchSpace) -> dict[Tokens, Architecture]:
    """All distinct networks of a space, by the first tokens that build each."""
    found: dict[str, Tokens] = {}
    for tokens in itertools.product(*(range(len(decision.choices)) for decision in space.decisions)):
        own = canonical(space.decisions, tokens)
        found.setdefault(space.decode(own).key, own)
    return {tokens: space.decode(tokens) for tokens in found.values()}


def accuracies(table: Path = TABLE) -> dict[Tokens, float]:
    """What the table says, by the tokens that `networks` gives."""
    rows = csv.DictReader(table.read_text().splitlines())
    return {tuple(map(int, row["tokens"].split())): float(row["accuracy"]) for row in rows}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--length", default="4x10000", help="EPOCHSxIMAGES of each training")
    parser.add_argument("--trainings", type=int, default=2, help="of each network")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, default=TABLE)
    args = parser.parse_args()
    make_folder(args.out)
    all_of_them = networks(SearchSpace.load(SPACE))
    length = Length.parse(args.length)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        found: list[list[dict[str, float]]] = []
        for repeat in range(args.trainings):
            one = partial(train, args.data, args.out, args.seed, length, JUDGED, repeat=repeat)
            found.append(list(pool.map(one, all_of_them.values())))
    whats = "accuracy", "loss", "seconds"
    accuracy, loss, seconds = (np.array([[row[what] for row in rows] for rows in found]) for what in whats)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["tokens", "accuracy", "loss", "seconds"])
    for tokens, *means in zip(all_of_them, accuracy.mean(0), loss.mean(0), seconds.mean(0), strict=True):
        texts = (f"{mean:.{digits}f}" for mean, digits in zip(means, (4, 4, 1), strict=True))
        writer.writerow([" ".join(map(str, tokens)), *texts])
    write_atomic(args.table, file.getvalue())
    print(f"{len(all_of_them)} networks, {seconds.sum():.0f} CPU seconds: {args.table}")
    for first, second in itertools.combinations(range(args.trainings), 2):
        print(f"trainings {first} and {second}, tau: {rank_correlation(accuracy[first], accuracy[second], args.seed)}")


if __name__ == "__main__":
    main()
