"""How evaluations scale with workers: overhead a trial, busy workers, and what the driver pays for many trials.

    python -m benchmarks.scaling workers --workers 1 2 4 --seconds 0.5                  on this machine
    python -m benchmarks.scaling cluster --workers 256 --trials 2000 --seconds 16       on a simulated cluster

Evaluations only sleep, so workers may outnumber cores; what is measured is the engine. A simulated cluster has a Ray
node for every 32 workers, all on this machine, and a process for every worker. There the study is the asynchronous
one (`--async`), because no worker is to wait for the end of a batch.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from benchmarks import forked_worker
from controller.random_search import RandomSearch
from evaluator.base import Evaluation, Evaluator
from evaluator.objective import Objective
from nas.async_study import AsyncStudy
from nas.commands import options
from nas.engines import ray_cluster
from nas.engines.base import Engine
from nas.engines.make import make_engine
from nas.history import Trial
from nas.journal import Journal, read
from nas.problem import make_problem
from nas.study import Study
from search_space.architecture import Architecture
from search_space.space import SearchSpace

WORKERS_A_NODE = 32


@dataclass(frozen=True, kw_only=True)
class SleepConfig:
    """How long an evaluation takes."""

    seconds: float = 0.5
    """Mean wall time, seconds; each takes 0.8 to 1.2 of it, by its seed."""


class Sleep(Evaluator[SleepConfig]):
    """Sleeps, and makes an accuracy up."""

    Config = SleepConfig
    presets: ClassVar[dict[str, Any]] = {"default": SleepConfig()}

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """An accuracy from the seed, after a while."""
        share = seed % 1000 / 1000
        started = time.monotonic()
        time.sleep(self.config.seconds * (0.8 + 0.4 * share))
        # Far from 1, so that no proposal is ruled out because it could not win.
        return Evaluation(status="ok", accuracy=0.2 + 0.1 * share, seconds=time.monotonic() - started)


def start_engine(*flags: str, seconds: float) -> Engine:
    """An engine from its flags."""
    parser = argparse.ArgumentParser()
    options.add_engine(parser)
    asked = options.engine_options(parser.parse_args(flags))
    return make_engine(asked, Sleep, SleepConfig(seconds=seconds))


@contextmanager
def search(path: Path, trials: int, batch: int, kind: type[Study] = Study) -> Iterator[Study]:
    """A random search, whose own time is small."""
    space = SearchSpace.load("efficientnet")
    objective = Objective(target_macs=400_000_000)
    problem = make_problem(space, objective, None)
    controller = RandomSearch(problem, RandomSearch.Config(), 0)
    with Journal(path) as journal:
        yield kind(
            space=space,
            objective=objective,
            controller=controller,
            journal=journal,
            num_trials=trials,
            batch_size=batch,
            seed=0,
        )


def rss_mb() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Meter:
    """Times since it was made."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._started, self._cpu = time.monotonic(), time.process_time()
        self._trials, self._slept = 0, 0.0

    def count(self, trial: Trial) -> None:
        """Take in a finished trial."""
        self._trials += 1
        self._slept += trial.evaluation.seconds if trial.evaluation and trial.repeat_of is None else 0.0

    def show(self, name: str) -> None:
        """Print a line."""
        wall, used = time.monotonic() - self._started, time.process_time() - self._cpu
        busy = self._slept / (wall * self._workers)
        overhead = (wall * self._workers - self._slept) / self._trials
        gc.collect()
        print(
            f"{self._workers:7d} {name:>13} {wall:8.1f} {busy:7.1%} {overhead:11.3f} "
            f"{1000 * used / self._trials:9.1f} {rss_mb():8.0f}",
            flush=True,
        )


def measure(engine: Engine, workers: int, trials: int, batch: int, *, parts: int, kind: type[Study] = Study) -> None:
    """Run a search on a warm engine and print a line for each part of its trials, and one for all."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        with search(Path(folder) / "warm", 2 * workers, 2 * workers) as warm:
            list(warm.run(engine))
        with search(path, trials, batch, kind) as study:
            whole, part = Meter(workers), Meter(workers)
            for done, trial in enumerate(study.run(engine), 1):
                whole.count(trial)
                part.count(trial)
                if parts > 1 and done % (trials // parts) == 0:
                    part.show(f"{done - trials // parts}-{done}")
                    part = Meter(workers)
            whole.show("all")
        assert sum(event["event"] == "finished" for event in read(path)) == trials


HEADER = "workers        trials   wall s    busy  overhead s  driver ms  RSS MB\n" + 68 * "-"


def on_this_machine(args: argparse.Namespace) -> None:
    """Batches of four times the workers."""
    print(HEADER)
    for workers in args.workers:
        started = time.monotonic()
        with closing(start_engine("--engine", "ray", "--workers", str(workers), seconds=args.seconds)) as engine:
            print(f"{workers:7d} start-up {time.monotonic() - started:.1f} s")
            measure(engine, workers, args.trials or 40 * workers, 4 * workers, parts=1)


def on_a_cluster(args: argparse.Namespace) -> None:
    """A cluster of many nodes on this machine; the trials in ten parts, to see what grows."""
    ray_cluster.set_environment(local=True)
    print(HEADER)
    with TemporaryDirectory() as folder, forked_worker.started(f"{folder}/forks"):
        for workers in args.workers:
            with cluster(workers) as address:
                flags = ["--engine", "ray", "--workers", str(workers), "--ray-address", address]
                with closing(start_engine(*flags, seconds=args.seconds)) as engine:
                    measure(engine, workers, args.trials or 2000, 100, parts=10, kind=AsyncStudy)


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of a cluster with so many CPUs on its nodes."""
    from ray.cluster_utils import Cluster  # after Ray's settings

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for first in range(0, workers, WORKERS_A_NODE):
            nodes.add_node(num_cpus=min(WORKERS_A_NODE, workers - first), setup_worker_path=forked_worker.__file__)
        yield nodes.address
    finally:
        nodes.shutdown()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=("workers", "cluster"))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    (on_this_machine if args.where == "workers" else on_a_cluster)(args)


if __name__ == "__main__":
    main()
