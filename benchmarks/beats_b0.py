"""How many evaluations `nas-search --evaluator imagenet` needs to beat EfficientNet-B0.

    python -m benchmarks.beats_b0 --seeds 20

Each seed is a run of the command itself. Beaten is B0 by a network of higher reward at no more multiply-adds.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluator.objective import Objective
from nas.commands.search import main as search
from nas.journal import read
from search_space.architecture import Architecture
from search_space.cost import count

B0 = "efficientnet-b0"
TARGET = 400_000_000


def first_better(run_dir: Path) -> tuple[int | None, float, float]:
    """The first trial, from 1, that beats B0; the best reward of the run; and B0's."""
    macs = count(Architecture.load(B0)).macs
    (accuracy,) = (e["evaluation"]["accuracy"] for e in read(run_dir / "journal.jsonl") if e.get("name") == B0)
    bar = Objective(target_macs=TARGET).reward(accuracy, macs)
    with open(run_dir / "trials.csv", newline="") as file:
        trials = list(csv.DictReader(file))
    better = [int(t["trial"]) + 1 for t in trials if float(t["reward"]) > bar and int(t["macs"]) <= macs]
    return min(better, default=None), max(float(t["reward"]) for t in trials), bar


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=100)
    args = parser.parse_args()
    firsts = []
    print("seed  first better at  best reward  B0's\n" + 40 * "-")
    for seed in range(args.seeds):
        with TemporaryDirectory() as folder:
            run_dir = Path(folder) / "run"
            flags = ["--target-flops", str(TARGET), "--evaluator", "imagenet", "--quiet"]
            flags += ["--trials", str(args.trials), "--seed", str(seed)]
            if code := search([*flags, "--run-dir", str(run_dir)]):
                sys.exit(code)
            first, best, bar = first_better(run_dir)
        print(f"{seed:4d}  {first or 'never':>15}  {best:11.4f}  {bar:.4f}", flush=True)
        firsts.append(first)
    beaten = [first for first in firsts if first is not None]
    middle = f"median {statistics.median(beaten):g}, slowest {max(beaten)}" if beaten else ""
    print(f"{len(beaten)} of {len(firsts)} seeds beat B0 within {args.trials} evaluations: {middle}")


if __name__ == "__main__":
    main()
