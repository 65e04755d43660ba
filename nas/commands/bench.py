"""``nas-bench``: controllers against each other where an evaluation is a lookup."""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from controller.registry import CONTROLLERS
from evaluator.tabular import accel_nasbench
from nas import config
from nas.bench import agreement
from nas.bench import table as bench_table
from nas.bench.run import Bench, Benchmark, Run
from nas.commands import cli
from nas.report import bench as report_bench
from nas.runs.directory import REFERENCE_NETWORK
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io.amounts import parse_band
from search_space.io.files import write_atomic

DESCRIPTION = """\
Search a tabular benchmark with each controller and many seeds, and compare what they find.

  nas-bench
  nas-bench --controllers guided,reinforce/paper --objective hard --noise 0.27
  nas-bench --benchmark table:scores.csv --space my-space.yaml --target-flops 100M
  nas-bench --controllers guided --set controller.optimism=1 --first-seed 100

Or ask how well cheap evaluations rank networks, against published ImageNet trainings.

  nas-bench --rank --networks 200 --evaluator gradient-norm --evaluator params
"""
_SETTABLE = ("controller", "evaluator", "objective")
_bench: Bench | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-bench``."""
    return cli.run(_parser(), _main, argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-bench", DESCRIPTION)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--benchmark", default="imagenet", metavar="EVALUATOR", help="search imagenet or table:FILE")
    what.add_argument("--rank", action="store_true", help="rank published networks by cheap evaluations")
    parser.add_argument(
        "--space", default="accel-nasbench", metavar="SPACE", help="what to search: a name, YAML file or module:NAME"
    )
    parser.add_argument("--target-flops", default="400M", metavar="AMOUNT", help="T of the objective")
    parser.add_argument("--objective", choices=("soft", "hard", "absolute"), default="soft", help="how FLOPs count")
    parser.add_argument("--exponent", type=float, metavar="W", help="w of the objective (default: -0.07)")
    parser.add_argument("--controllers", default="all", metavar="LIST", help="NAME or NAME/PRESET, with commas; or all")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="searches of each controller")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="of so many in a row")
    parser.add_argument("--trials", type=int, default=500, metavar="N", help="evaluations of each search")
    parser.add_argument("--batch", type=int, metavar="N", help="proposals between updates (default: the controller's)")
    parser.add_argument("--noise", type=float, default=0.0, metavar="POINTS", help="sd of accuracy, percentage points")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any setting: controller.hidden=64"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write bench.csv and bench.html there")
    rank = parser.add_argument_group("how well cheap evaluations rank (--rank)")
    rank.add_argument("--networks", type=int, default=40, metavar="N", help="from everywhere, and from the band")
    rank.add_argument("--band", default="380M-450M", metavar="LOW-HIGH", help="a band of MACs, as published")
    rank.add_argument(
        "--evaluator", action="append", metavar="NAME[/PRESET]", help="what to measure (default: all that can run here)"
    )
    rank.add_argument("--data", metavar="DATA", help="images of the evaluators that train, e.g. folder:photos")
    rank.add_argument("--seed", type=int, default=0, metavar="N", help="which networks are drawn")
    return parser


def _main(args: argparse.Namespace) -> int:
    if args.rank:
        return _rank(args)
    for name in ("seeds", "trials", "jobs", "batch"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InputError(f"--{name} must be at least 1, got {getattr(args, name)}")
    names = list(CONTROLLERS) if args.controllers == "all" else args.controllers.split(",")
    if args.first_seed < 0:
        raise InputError(f"--first-seed must be at least 0, got {args.first_seed}")
    benchmark = _benchmark(args, names)
    bench = Bench(benchmark)  # fits and caches what the workers will read
    cli.say(f"{args.benchmark}: {', '.join(f'{k} {v}' for k, v in bench.exact.describe().items())}")
    reference = bench.reference(Architecture.load(REFERENCE_NETWORK))
    runs = []
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    for run in _run_all(benchmark, names, seeds, reference, args.jobs):
        runs.append(run)
        cli.say(f"{len(runs)}/{len(names) * args.seeds}  {run.controller} seed {run.seed}: {run.best[-1]:.4f}")
    top = max(runs, key=lambda run: run.best[-1])
    best_known = max(bench.climb(top.tokens), top.best[-1]) if top.tokens else top.best[-1]
    known, beside = (reference[0], f"{reference[0]:.4f}") if reference else (None, "unknown to this benchmark")
    target = benchmark.objective.target_macs / 1e6
    which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    asked = f"T = {target:g}M, {args.objective}, noise {args.noise:g} points, {which}."
    values = f"Best known reward {best_known:.4f}, {REFERENCE_NETWORK} {beside}."
    if not any(run.tokens for run in runs):
        values += f" Nothing is compared: no network that was proposed is known to {args.benchmark}."
    rows = bench_table.table(runs, best_known, known)
    cli.say(f"\n{asked}\n{values}\n")
    cli.say(bench_table.text(rows))
    if args.out:
        page = report_bench.render(runs, rows, best_known, known, f"{args.benchmark}: {asked} {values}")
        write_atomic(args.out / "bench.csv", bench_table.to_csv(runs))
        write_atomic(args.out / "bench.html", page)
        cli.say(f"\nReport: {args.out / 'bench.html'}")
    return cli.DONE


def _benchmark(args: argparse.Namespace, names: Sequence[str]) -> Benchmark:
    """What the flags ask for."""
    changed = [config.parse_setting(text) for text in args.set]
    if wrong := {key for layer in changed for key in layer} - set(_SETTABLE):
        raise InputError(f"--set {min(wrong)}: must be a setting of {', '.join(_SETTABLE[:-1])} or {_SETTABLE[-1]}")
    said = {
        "target_flops": args.target_flops,
        "space": args.space,
        "evaluator": {"name": args.benchmark},
        "objective": config.given({"kind": args.objective, "exponent": args.exponent}),
        "trials": args.trials,
    }
    searches = {name: config.resolve([said, {"controller": _named(name)}, *changed]) for name in names}
    settings = searches[names[0]]
    evaluator = settings.evaluator
    if evaluator.settings.get("space") == "":  # a table by tokens is of the space that is searched
        evaluator = replace(evaluator, settings={**evaluator.settings, "space": args.space})
    return Benchmark(
        space=args.space,
        evaluator=evaluator,
        objective=settings.objective,
        controllers={name: search.controller for name, search in searches.items()},
        noise=args.noise / 100,
        trials=args.trials,
        batch=args.batch,
    )


def _named(controller: str) -> dict[str, str]:
    """``NAME`` or ``NAME/PRESET`` as settings."""
    name, _, preset = controller.partition("/")
    return {"name": name, "preset": preset or "default"}


def _rank(args: argparse.Namespace) -> int:
    """Print the table of rank correlations, a row as soon as it is measured."""
    config.use_one_thread()
    sample = agreement.choose(accel_nasbench.read(), args.networks, parse_band(args.band, "--band"), args.seed)
    cli.say(
        f"{len(sample.everywhere)} networks from everywhere, {len(sample.band)} with {args.band} MACs, "
        f"{len(sample.networks)} distinct; 95 % bootstrap intervals"
    )
    cli.say(agreement.HEADER)
    cli.say(str(agreement.macs_row(sample, args.seed)))
    for spec in args.evaluator or agreement.every_preset():
        try:
            evaluator = agreement.make(spec, args.data)
        except InputError as error:
            if args.evaluator:
                raise
            cli.say(f"{spec:<34}  not run: {error}")
            continue
        for row in agreement.measure(spec, evaluator, sample, args.seed):
            cli.say(str(row))
    return cli.DONE


def _run_all(
    benchmark: Benchmark,
    names: Sequence[str],
    seeds: Sequence[int],
    reference: tuple[float, int] | None,
    jobs: int | None,
) -> Iterator[Run]:
    """Every controller with every seed, in that order whatever the number of processes."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(jobs, context, _start_worker, (benchmark,)) as pool:
        futures = [pool.submit(_run_one, name, seed, reference) for name in names for seed in seeds]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(benchmark: Benchmark) -> None:
    global _bench
    _bench = Bench(benchmark)


def _run_one(name: str, seed: int, reference: tuple[float, int] | None) -> Run:
    assert _bench is not None, "_start_worker runs first"
    return _bench.run(name, seed, reference)


if __name__ == "__main__":
    raise SystemExit(main())
