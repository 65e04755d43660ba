"""Search with an evaluator of your own, and one trial at a time.

    python examples/own_evaluator.py

The evaluator here is a formula, so that this takes a second; put your training in its place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nas


def accuracy(architecture: nas.Architecture, seed: int) -> float:
    """What a network is worth, from 0 to 1: anything that can be measured of it."""
    layers = sum(stage.layers for stage in architecture.stages)
    wide_kernels = sum(stage.kernel == 5 for stage in architecture.stages)
    return 0.5 + 0.01 * layers + 0.02 * wide_kernels


def main(folder: Path) -> None:
    """Search twice: by function, and by asking and telling."""
    # The whole loop: the function is called for each proposal. Run it again, and it goes on where it was.
    with nas.create_study("400M", evaluator=accuracy, run_dir=folder / "by-function", resume=True) as study:
        study.optimize(trials=8)
    print(study.trials_dataframe()[["trial", "reward", "accuracy", "macs"]].tail())

    # Your own loop: ask for a network, do with it what you like, tell what came of it.
    with nas.create_study("400M", run_dir=folder / "by-hand", resume=True) as study:
        while len(study.finished) < 8 and (trial := study.ask()):
            network = study.architecture(trial)
            study.tell(trial, accuracy=accuracy(network, seed=0))

    # Every search is a run on disk, whoever evaluated: nas-report, nas-export and nas-search --resume take it.
    run = nas.load_run(folder / "by-hand")
    assert run.best_trial is not None
    print(f"{run.state}: trial {run.best_trial.number} with reward {run.best_trial.reward:.4f}")
    print((run.path / "best.yaml").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
