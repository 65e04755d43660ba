from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from evaluator.objective import Objective
from nas import config
from nas.bench.run import Bench, Benchmark
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.space import SearchSpace

SPACE = """\
format: nas-space/1
name: tiny
description: Three blocks of two kernels and three depths.
reference: efficientnet-b0
choices:
  op: [mbconv6]
  kernel: [3, 5]
  layers: [1, 2]
  se: [0.25]
"""


@pytest.fixture
def benchmark_(tmp_path: Path) -> Benchmark:
    """Every 16th network of a space of 2^14, by parameters; the others are infeasible."""
    (tmp_path / "space.yaml").write_text(SPACE)
    space = SearchSpace.load(tmp_path / "space.yaml")
    generator = np.random.default_rng(0)
    with open(tmp_path / "table.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "accuracy"])
        for architecture in {a.key: a for a in (space.sample(generator) for _ in range(3000))}.values():
            writer.writerow([architecture.key, min(1.0, count(architecture).params / 1e7)])
    evaluator = config.merge({"evaluator": {"name": f"table:{tmp_path / 'table.csv'}"}}, [])["evaluator"]
    return Benchmark(
        space=str(tmp_path / "space.yaml"),
        evaluator=evaluator,
        objective=Objective(target_macs=300_000_000),
        controllers={name: config.component("controller", {"name": name}) for name in ("evolution", "random")},
        noise=0.0,
        trials=20,
        batch=4,
    )


def test_a_run_is_reproducible_and_its_best_rises(benchmark_: Benchmark) -> None:
    bench = Bench(benchmark_)
    run = bench.run("evolution", 1, (0.0, 10**12))
    assert len(run.best) == 20
    assert list(run.best) == sorted(run.best)
    again = Bench(benchmark_).run("evolution", 1, (0.0, 10**12))
    assert dataclasses.replace(again, seconds_per_trial=0) == dataclasses.replace(run, seconds_per_trial=0)
    assert bench.reward(bench.space.decode(run.tokens)) == run.best[-1]
    assert run.beats_reference_at is not None
    assert run.best[run.beats_reference_at - 1] > 0
    assert bench.run("random", 1, (0.0, 1)).beats_reference_at is None
    assert bench.run("random", 1, None).beats_reference_at is None
    assert bench.reference(Architecture.load("mnasnet-a1")) is None
    known = bench.space.decode(run.tokens)
    assert bench.reference(known) == (run.best[-1], count(known).macs)


def test_with_noise_the_true_reward_of_the_incumbent_is_reported(benchmark_: Benchmark) -> None:
    bench = Bench(dataclasses.replace(benchmark_, noise=0.05))
    run = bench.run("random", 0, (0.0, 10**12))
    assert run.best[-1] == bench.reward(bench.space.decode(run.tokens))
    assert list(run.best) != sorted(run.best)


def test_climbing_never_ends_below_its_start(benchmark_: Benchmark) -> None:
    bench = Bench(benchmark_)
    run = bench.run("random", 0, (0.0, 10**12))
    assert bench.climb(run.tokens) >= run.best[-1]
    assert len(bench._neighbours(run.tokens)) == 14 + 14 * 13 // 2


def test_a_network_the_benchmark_lacks_has_the_reward_of_accuracy_0(benchmark_: Benchmark) -> None:
    assert Bench(benchmark_).reward(Architecture.load("mnasnet-a1")) == 0
