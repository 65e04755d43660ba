"""``nas-grid``: the second stage, from a baseline to compound coefficients and a family."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from evaluator.base import Evaluator
from nas import config
from nas.commands import cli, options
from nas.engines.base import Engine, Job
from nas.engines.local import estimate_seconds
from nas.engines.make import make_engine
from nas.grid import comparison_text, text
from nas.grid import config as grid_config
from nas.grid import progress as grid_progress
from nas.grid.checks import grid_of
from nas.grid.config import GridConfig
from nas.grid.result import paper_candidate
from nas.grid.ways import WAYS, scale_all
from nas.progress import SearchProgress
from nas.report import page as report
from nas.runs.grid import ComparisonRun, GridRun, ScalingRun
from nas.runs.header import check_trusted, trust_flag
from search_space.seeding import derive_seed

DESCRIPTION = """\
Find how to scale a network: depth alpha^phi, width beta^phi, resolution gamma^phi (EfficientNet, section 3.3).

  nas-grid --phi 1                            the newest run's best network, or EfficientNet-B0
  nas-grid --phi 1 --arch best.yaml --data folder:photos
  nas-grid --arch best.yaml --check-phi 2     and does what won still win among larger networks
  nas-grid --arch best.yaml --compare depth,width,resolution,compound
                                              in place of the grid: which way of scaling wins at equal cost
  nas-grid --run-dir runs/mine --resume       go on where a run ended; a longer --ratios or --check-phi adds to it

The run directory holds coefficients.yaml, family/*.yaml, trials.csv, config.yaml and journal.jsonl.
Exit codes: 0 done, 1 no network succeeded, 2 wrong input, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-grid``."""
    return cli.run(_parser(), _grid, argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-grid", DESCRIPTION)
    what = parser.add_argument_group("what to scale, and how far")
    what.add_argument("--arch", metavar="NETWORK", help="an architecture's YAML file or name")
    what.add_argument("--phi", type=float, metavar="PHI", help="where networks are compared (default: 1)")
    what.add_argument("--target-flops", metavar="AMOUNT", help="multiply-adds at phi (default: 2^phi the baseline's)")
    what.add_argument("--family", type=int, metavar="N", help="write members up to phi N (default: 7)")
    what.add_argument("--family-from", type=int, metavar="N", help="and from phi N on, e.g. -2 (default: 0)")
    grid = parser.add_argument_group("which networks to compare")
    grid.add_argument(
        "--step", type=float, metavar="STEP", help="distance of neighbouring coefficients (default: 0.05)"
    )
    grid.add_argument("--tolerance", type=float, metavar="T", help="of alpha * beta^2 * gamma^2 (default: 0.1)")
    choices = ("realised", "nominal")
    grid.add_argument("--constraint", choices=choices, help="equal true cost, or the product alone (default: realised)")
    grid.add_argument("--band", type=float, metavar="B", help="of true costs, relative (default: 0.05)")
    study = parser.add_argument_group("does it last, and is compound scaling better than one dimension alone")
    study.add_argument("--check-phi", metavar="LIST", help="larger phis at which the best are compared again, e.g. 2,3")
    study.add_argument("--compare", metavar="LIST", help=f"a study in place of the grid: {', '.join(WAYS)}")
    study.add_argument("--ratios", metavar="LIST", help="--compare: costs over the baseline's (default: 2,4)")
    how = parser.add_argument_group("how to compare")
    how.add_argument("--rungs", metavar="LIST", help="lengths of training, in --epochs (default: 1,2,3)")
    how.add_argument(
        "--finalists", type=int, metavar="N", help="networks in the last rung, beside the paper's (default: 2)"
    )
    how.add_argument("--repeats", type=int, metavar="N", help="seeds of each finalist (default: 5)")
    options.add_evaluator(parser)
    options.add_run(parser)
    options.add_engine(parser)
    return parser


def _grid(args: argparse.Namespace) -> int:
    path, recorded = options.locate_run(args, "nas-grid")
    settings = _resolve(args, recorded, path)
    return _study(args, settings, path) if settings.compare else _triples(args, settings, path)


def _triples(args: argparse.Namespace, settings: GridConfig, path: Path) -> int:
    grid = grid_of(settings)
    paper = paper_candidate(grid, settings)
    trainings = grid_progress.planned(grid, settings, settings.halving([] if paper is None else [paper]))
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    if not args.quiet:
        cli.show(*text.describe_grid(grid, settings, trainings, paper))
    if args.dry_run:
        return _dry_run(settings, cls(evaluator_config), grid_progress.work(grid, settings, trainings))
    with closing(make_engine(options.engine_options(args), cls, evaluator_config)) as engine:
        if not args.quiet:
            cli.say_notes(engine.describe())
        with GridRun(path, settings) as run:
            parts = (run.study, run.grid, settings, run.trainings)

            def result() -> list[text.Part]:
                found = run.conclude()
                return text.describe_result(path, grid, settings, found, run.checks(found))

            return _run(run, engine, lambda: grid_progress.GridProgress(*parts, quiet=args.quiet), result)


def _study(args: argparse.Namespace, settings: GridConfig, path: Path) -> int:
    compared = scale_all(settings.baseline, settings.compare, settings.ratios)
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    if not args.quiet:
        trained_as = cls.trained_as(evaluator_config, settings.baseline.resolution)
        cli.show(*comparison_text.describe_ways(compared, settings, trained_as))
    if args.dry_run:
        return _dry_run(settings, cls(evaluator_config), grid_progress.study_work(compared, settings))
    with closing(make_engine(options.engine_options(args), cls, evaluator_config)) as engine:
        if not args.quiet:
            cli.say_notes(engine.describe())
        with ComparisonRun(path, settings) as run:
            parts = (run.study, compared, settings)

            def result() -> list[text.Part]:
                return comparison_text.describe_findings(path, compared, settings, run.conclude())

            return _run(run, engine, lambda: grid_progress.ComparisonProgress(*parts, quiet=args.quiet), result)


def _resolve(args: argparse.Namespace, recorded: dict[str, Any] | None, path: Path) -> GridConfig:
    """The config from file and flags; a resumed run's own, of which only the family's size may change."""
    said = [config.read(args.config, GridConfig)] if args.config else []
    if args.arch or not any("baseline" in layer for layer in (recorded or {}, *said)):
        name, baseline, why = grid_config.load_baseline(args.arch, Path("runs"))
        said.append({"name": name, "baseline": baseline})
        cli.say(why)
    said += [_flags(args), *(config.parse_setting(text) for text in args.set)]
    if recorded:
        check_trusted(path, recorded, said, trusted=args.trust_code)
    settings = grid_config.resolve([*([recorded] if recorded else []), *said])
    if recorded:
        options.check_unchanged(path, grid_config.resolve([recorded]), settings)
    return settings


def _flags(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given, as nested settings."""
    names = ("phi", "target_flops", "family", "family_from", "step", "tolerance", "constraint", "band")
    flags = {name: getattr(args, name) for name in (*names, "finalists", "repeats", "seed")}
    flags["evaluator"] = options.evaluator_settings(args)
    for name in ("rungs", "ratios", "check_phi", "compare"):
        if (value := getattr(args, name)) is not None:
            flags |= config.parse_setting(f"{name}=[{value}]")
    return config.given(flags)


def _dry_run(settings: GridConfig, evaluator: Evaluator[Any], work: float) -> int:
    cli.say_notes(evaluator.describe())
    job = Job(trial=-1, architecture=settings.baseline, seed=derive_seed(settings.seed, "dry run"))
    cli.say(text.describe_estimate(estimate_seconds(evaluator, job), work))
    return cli.DONE


def _run(
    run: ScalingRun, engine: Engine, show: Callable[[], SearchProgress], result: Callable[[], list[text.Part]]
) -> int:
    """Time the baseline, train what is left, and print the result."""
    try:
        baseline = run.time_baseline(engine)
        with show() as progress:
            if not progress.quiet:
                left = progress.all_work() - progress.done_work()
                cli.say(text.describe_time(baseline, left, engine.workers))
            for trial in run.run(engine):
                progress.update(trial)
    except KeyboardInterrupt:
        report.write_ended(run.path)
        cli.say(f"Stopped after {len(run.finished)} trainings; nothing finished is lost. To go on:")
        cli.say(f"  nas-grid --run-dir {run.path} --resume{trust_flag(run.history.config)}")
        return cli.INTERRUPTED
    try:
        said = result()
    finally:
        report.write_ended(run.path)  # links what `result` writes
    cli.show(*said)
    return cli.DONE


if __name__ == "__main__":
    raise SystemExit(main())
