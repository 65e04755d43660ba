"""What many trials cost around their evaluations: loop, journal, resume and memory.

    python benchmarks/search_overhead.py [--trials 8000]

Prints one table. The evaluator costs nothing; where the time of a real run goes, search_time.py shows.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from evaluator.base import Evaluation, Evaluator
from nas import config
from nas.commands.search import load_space
from nas.config import SearchConfig
from nas.engines.local import LocalEngine
from nas.journal import Journal
from nas.problem import make_problem
from nas.runs import directory as run_dir
from nas.study import Study
from search_space.architecture import Architecture


class FreeEvaluator(Evaluator[None]):
    """An accuracy from the key, at no cost."""

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """Never trains."""
        return Evaluation(status="ok", accuracy=int(architecture.key[:8], 16) / 16**8)


def make_study(settings: SearchConfig, journal: Journal) -> Study:
    """The study that nas-search makes of these settings."""
    space = load_space(settings)
    controller, controller_config = config.make("controller", settings.controller)
    problem = make_problem(space, settings.objective, settings.band)
    return Study(
        space=space,
        objective=settings.objective,
        controller=controller(problem, controller_config, settings.seed),
        journal=journal,
        num_trials=settings.trials,
        batch_size=settings.batch,
        seed=settings.seed,
    )


def memory_mb() -> float:
    """Resident memory now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def long_run(folder: Path, trials: int) -> None:
    """Journal, memory and resume over many trials that cost nothing."""
    settings = config.resolve([{"target_flops": "400M", "trials": trials, "batch": 20}])
    with run_dir.open_journal(folder / "long", settings) as journal:
        append = journal.append
        slowest: list[float] = []

        def timed(event: dict[str, Any]) -> None:
            started = time.perf_counter()
            append(event)
            slowest.append(time.perf_counter() - started)

        journal.append = timed  # type: ignore[method-assign]
        started = time.perf_counter()
        study = make_study(settings, journal)
        memory = {}
        for trial in study.run(LocalEngine(FreeEvaluator(None))):
            if trial.number in (trials // 8, trials - 1):
                memory[trial.number] = memory_mb()
        seconds = time.perf_counter() - started
    times = sorted(slowest)
    row(f"{trials} trials with a free evaluator", f"{seconds:.1f} s, {seconds / trials * 1e3:.1f} ms a trial")
    median, high = times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3
    row("one append to the journal", f"median {median:.2f} ms, 99th percentile {high:.2f} ms (target: at most 5 ms)")
    first, last = memory.values()
    row("resident memory", f"{first:.0f} MB after {trials // 8} trials, {last:.0f} MB after {trials}")
    with run_dir.open_journal(folder / "long", settings) as journal:
        started = time.perf_counter()
        study = make_study(settings, journal)
        seconds = time.perf_counter() - started
    assert len(study.trials) == trials
    row(f"resume after {trials} finished trials", f"{seconds:.1f} s (target: at most 30 s)")


def row(name: str, value: str) -> None:
    """One line of the table."""
    print(f"{name:<44} {value}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8000)
    trials = parser.parse_args().trials
    config.use_one_thread()
    with tempfile.TemporaryDirectory() as folder:
        long_run(Path(folder), trials)


if __name__ == "__main__":
    main()
