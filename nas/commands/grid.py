"""``nas-grid``: the second stage, from a baseline to compound coefficients and a family."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from evaluator.base import Evaluator
from nas import config
from nas.commands import cli, options
from nas.engines.base import Engine, Job
from nas.engines.local import estimate_seconds
from nas.engines.make import make_engine
from nas.grid import config as grid_config
from nas.grid import progress as grid_progress
from nas.grid import text
from nas.grid.config import GridConfig
from nas.grid.enumeration import enumerate_grid
from nas.grid.result import paper_candidate
from nas.report import page as report
from nas.runs.grid import GridRun
from nas.runs.header import check_trusted, trust_flag
from search_space.seeding import derive_seed

DESCRIPTION = """\
Find how to scale a network: depth alpha^phi, width beta^phi, resolution gamma^phi (EfficientNet, section 3.3).

  nas-grid --phi 1                            the newest run's best network, or EfficientNet-B0
  nas-grid --phi 1 --arch best.yaml --data folder:photos
  nas-grid --run-dir runs/mine --resume       go on where a run ended

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
    grid = enumerate_grid(settings.baseline, settings.bounds)
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
            return _run(run, engine, quiet=args.quiet)


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
    if args.rungs is not None:
        flags |= config.parse_setting(f"rungs=[{args.rungs}]")
    return config.given(flags)


def _dry_run(settings: GridConfig, evaluator: Evaluator[Any], work: float) -> int:
    cli.say_notes(evaluator.describe())
    job = Job(trial=-1, architecture=settings.baseline, seed=derive_seed(settings.seed, "dry run"))
    cli.say(text.describe_estimate(estimate_seconds(evaluator, job), work))
    return cli.DONE


def _run(run: GridRun, engine: Engine, *, quiet: bool) -> int:
    """Time the baseline, train what is left, and print the result."""
    try:
        baseline = run.time_baseline(engine)
        with grid_progress.GridProgress(run.study, run.grid, run.settings, run.trainings, quiet=quiet) as progress:
            if not quiet:
                left = progress.all_work() - progress.done_work()
                cli.say(text.describe_time(baseline, left, engine.workers))
            for trial in run.run(engine):
                progress.update(trial)
    except KeyboardInterrupt:
        report.write_ended(run.path)
        cli.say(f"Stopped after {len(run.finished)} trainings; nothing finished is lost. To go on:")
        cli.say(f"  nas-grid --run-dir {run.path} --resume{trust_flag(run.history.config)}")
        return cli.INTERRUPTED
    report.write_ended(run.path)
    cli.show(*text.describe_result(run.path, run.grid, run.settings, run.conclude()))
    return cli.DONE


if __name__ == "__main__":
    raise SystemExit(main())
