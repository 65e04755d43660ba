from __future__ import annotations

import csv

from nas.bench import table as bench_table
from nas.bench.run import Run


def run(controller: str, seed: int, best: tuple[float, ...], beats: int | None = 2) -> Run:
    return Run(
        controller=controller, seed=seed, best=best, tokens=(0,), beats_reference_at=beats, seconds_per_trial=0.5
    )


RUNS = [
    run("a", 0, (0.1, 0.5, 0.9)),
    run("a", 1, (0.3, 0.5, 1.0), beats=3),
    run("b", 0, (0.1, 0.2, 0.3), beats=None),
    run("b", 1, (0.1, 0.6, 0.7)),
]


def test_the_table_by_hand() -> None:
    header, a, b = bench_table.table(RUNS, best_known=1.0, reference=0.5)
    assert header == ["controller", "3", "to B0", "to 99 %", "to 99.9 %", "beats B0 by", "s/trial"]
    # Means .95 and .5; sample deviations sqrt(.005) and sqrt(.08).
    assert a == ["a", "0.9500 +-0.0707", "2", "3 (1/2)", "3 (1/2)", "3", "0.5000"]
    assert b == ["b", "0.5000 +-0.2828", "2 (1/2)", "- (0/2)", "- (0/2)", "- (1/2)", "0.5000"]


def test_without_a_reference_there_are_no_columns_of_it() -> None:
    header, a, _ = bench_table.table(RUNS, best_known=1.0, reference=None)
    assert header == ["controller", "3", "to 99 %", "to 99.9 %", "s/trial"]
    assert a == ["a", "0.9500 +-0.0707", "3 (1/2)", "3 (1/2)", "0.5000"]


def test_the_median_counts_seeds_that_never_get_there() -> None:
    assert bench_table._to_reach([5, None, None]) == "- (1/3)"
    assert bench_table._to_reach([5, 3, None]) == "5 (2/3)"
    assert bench_table._to_reach([5, 3, 9], worst=True) == "9"


def test_text_and_csv_hold_every_run() -> None:
    rows = bench_table.table(RUNS, best_known=1.0, reference=0.5)
    lines = bench_table.text(rows).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    read = list(csv.DictReader(bench_table.to_csv(RUNS).splitlines()))
    assert len(read) == 12
    assert read[-1] == {"controller": "b", "seed": "1", "trial": "3", "best_reward": "0.700000"}
