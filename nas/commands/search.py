"""``nas-search``: search for a network within a budget of FLOPs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from controller.registry import CONTROLLERS
from nas import config
from nas.commands import cli, final, options, summary
from nas.config import SearchConfig
from nas.engines.base import Engine
from nas.engines.make import EngineOptions, count_workers, make_engine
from nas.history import Trial
from nas.progress import SearchProgress
from nas.report import page as report
from nas.report import training as training_page
from nas.runs import warm_start
from nas.runs.base import measured
from nas.runs.deployment import deployed, load_space
from nas.runs.final import check as check_final
from nas.runs.header import check_inherited, check_time, check_trusted, grown_flags, trust_flag
from nas.runs.loggers import tensorboard
from nas.runs.loggers.callbacks import CALLBACKS, Callbacks
from nas.runs.planning import plan_search, with_batch
from nas.runs.search import StudyRun, evaluator_of
from nas.runs.time_plan import Plan
from nas.training import retrain
from nas.training.run import at_chance_lines, metrics_table
from nas.trust import measure as trust
from search_space.decision import Space
from search_space.errors import InputError
from search_space.io import named
from search_space.io.amounts import parse_milliseconds, parse_share

DESCRIPTION = """\
Search for the best convnet within a budget of multiply-adds (the papers' FLOPs).

  nas-search --target-flops 400M                            the embedded digits, minutes on a CPU
  nas-search --target-flops 400M --data folder:photos       your images: a folder of class folders
  nas-search --target-flops 400M --evaluator imagenet       the papers' setting, by published trainings, a minute
  nas-search --target-flops 3M --data cifar10:DIR --final 3 train the best in full beside known networks, and say
                                                            which is best
  nas-search --run-dir runs/mine --resume                   go on where a run ended

The run directory holds best.yaml, top/*.yaml, trials.csv, config.yaml, journal.jsonl and report.html.
Exit codes: 0 done, 1 no network succeeded, 2 wrong input, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-search``."""
    started = time.monotonic()
    return cli.run(_parser(), lambda args: search(args, started), argv)


def defaults() -> argparse.Namespace:
    """The arguments of ``nas-search`` where nothing is said."""
    return _parser().parse_args([])


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-search", DESCRIPTION)
    what = parser.add_argument_group("what to search")
    what.add_argument("--target-flops", metavar="AMOUNT", help="multiply-adds an image: 400M, 0.4B, 3.9e8 (required)")
    what.add_argument("--resolution", type=int, metavar="N", help="side of its images (default: own; folder: 224)")
    what.add_argument("--classes", type=int, metavar="N", help="classes to tell apart (default: the data's)")
    what.add_argument("--time", metavar="TIME", help="end within 20m or 2h: what else you do not say is planned")
    what.add_argument("--trials", type=int, metavar="N", help="networks to propose (default: 32; imagenet: 200)")
    spaces = ", ".join(named.config_names("spaces"))
    what.add_argument(
        "--space", metavar="SPACE", help=f"{spaces}, or a YAML file (default: efficientnet; imagenet: accel-nasbench)"
    )
    options.add_evaluator(parser)
    run = options.add_run(parser)
    run.add_argument("--retrain", type=int, metavar="N", help="then train the best N in full, as nas-train does")
    run.add_argument(
        "--final", type=int, metavar="N", help="then train the best N, known networks and random search's best longer"
    )
    run.add_argument("--tensorboard", action="store_true", help="write scalars to tensorboard/ in the run directory")
    run.add_argument(
        "--callback",
        action="append",
        metavar="NAME",
        help=f"{', '.join(CALLBACKS)} or your own Ray Tune callback class",
    )
    run.add_argument(
        "--trust", default=trust.DEFAULT_BUDGET, metavar="SHARE", help="of the training time, to measure its worth"
    )
    worth = parser.add_argument_group("what a network is worth: ACC * (FLOPs / T)^w, T the target")
    worth.add_argument("--objective", choices=("soft", "hard", "absolute"), help="how FLOPs count (default: soft)")
    worth.add_argument("--exponent", type=float, metavar="W", help="w (default: -0.07)")
    worth.add_argument("--target-latency", metavar="TIME", help="measured latency counts too: 20ms an image, batch 1")
    worth.add_argument(
        "--latency-device", choices=("cpu", "cuda"), help="where to measure it (default: cpu, one thread)"
    )
    how = parser.add_argument_group("how to search")
    controllers = ", ".join(CONTROLLERS)
    how.add_argument("--controller", metavar="NAME", help=f"{controllers} (default: guided)")
    how.add_argument("--preset", metavar="NAME", help="the controller's settings: default, or paper where it has one")
    how.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="proposals between updates (default: 4, or what keeps workers busy)",
    )
    how.add_argument(
        "--async",
        dest="asynchronous",
        action="store_const",
        const=True,
        help="learn from trials as they finish: no worker waits, but the same seed no longer gives the same search",
    )
    how.add_argument("--promote", type=int, metavar="N", help="train the best quarter on, N times longer in all")
    how.add_argument("--share", metavar="TIME", help="train weights that all share first: 10m, or 20%% of --time")
    options.add_inherit(how)
    how.add_argument(
        "--warm-start", nargs="+", default=[], metavar="FILE", help="learn from earlier runs or architectures first"
    )
    options.add_engine(parser)
    return parser


def search(args: argparse.Namespace, started: float, program: str = "nas-search") -> int:
    """Search, and what was asked for after it.

    Args:
        args: As the parser gives them.
        started: `time.monotonic()` when the work began.
        program: What goes on with the run where it is stopped.
    """
    path, recorded = options.locate_run(args, "nas-search")
    share = parse_share(args.trust, "--trust")
    if args.resume and args.warm_start:
        raise InputError("--warm-start: a run that goes on has learned from other files or none when it began")
    if args.tensorboard:
        tensorboard.check_installed()
    said = _said(args)
    settings = _resolve(args, recorded, path, said)
    retrain.check(args.retrain, settings)
    check_final(settings)
    space = load_space(settings)
    earlier = warm_start.read(args.warm_start, space, settings.objective)
    engine_options = options.engine_options(args)
    plan = None
    if settings.time is not None and not recorded:
        settings, plan = _planned(settings, space, said, engine_options, share, started)
    if args.dry_run:
        config.use_one_thread()
        cls, evaluator_config = config.make("evaluator", settings.evaluator)
        cli.show(*summary.plan(settings, space, cls(evaluator_config), plan))
        return cli.DONE
    if not args.quiet:
        cli.show(*summary.announcement(settings, space, plan))
    with closing(make_engine(engine_options, *evaluator_of(settings, path))) as engine, ExitStack() as watching:
        if not args.quiet:
            cli.say_notes(engine.describe())
        if not recorded:
            settings = with_batch(settings, said, engine.workers)
        callbacks = watching.enter_context(Callbacks(path, args.callback)) if args.callback else None
        say: Callable[[str], None] = (lambda line: None) if args.quiet else cli.say
        with StudyRun(path, settings, earlier, plan, started, say=say) as run:
            if run.history.described.get("inherit"):
                check_inherited(path, run.history.described, engine.describe())
            if recorded and not args.quiet:
                cli.show(*summary.worked(run))
            told: list[Callable[[Trial], None]] = []
            if args.tensorboard:
                told.append(watching.enter_context(tensorboard.ScalarWriter(path, run.study)).update)
            if callbacks:
                told.append(lambda trial: callbacks.update(trial, run.space))
            code = _run(run, engine, told, program, quiet=args.quiet)
            if code == cli.DONE:
                _measure_worth(run, engine, engine_options, share)
                _conclude(run, space, program)
            if code == cli.DONE and settings.final:
                engine.close()
                code = final.hold(run, engine_options, program, quiet=args.quiet)
    if args.retrain and code == cli.DONE:
        metrics = retrain.retrain(args.retrain, settings, path, quiet=args.quiet, page=training_page.write)
        cli.show(metrics_table(metrics), *at_chance_lines(metrics))
        cli.say(f"Weights, metrics and networks: {path / 'trained'}")
    return code


def _planned(
    settings: SearchConfig,
    space: Space,
    said: Sequence[Mapping[str, Any]],
    engine_options: EngineOptions,
    share: float,
    started: float,
) -> tuple[SearchConfig, Plan]:
    """What to do in the time of a new search; `share` is the trust report's."""
    workers = count_workers(engine_options, *config.make("evaluator", settings.evaluator))
    return plan_search(settings, space, said, workers, share if trust.trains(settings) else 0.0, started)


def _measure_worth(run: StudyRun, engine: Engine, engine_options: EngineOptions, share: float) -> None:
    """The trust report, by trainings that neither continue the search's nor leave states to be continued."""
    settings = run.settings
    if run.clock:
        share = min(share, run.clock.trainings_left() / max(1, len(measured(run.trials))))
    if not settings.promote:
        trust.after_search(run, settings, engine, share, cli.say)
        return
    engine.close()
    with closing(make_engine(engine_options, *config.make("evaluator", settings.evaluator))) as apart:
        trust.after_search(run, settings, apart, share, cli.say)


def _conclude(run: StudyRun, space: Space, program: str) -> None:
    """Write the page, and say what to do next; a command that goes on by itself needs no advice."""
    report.write_ended(run.path)
    cli.show(*summary.worked(run))
    if program == "nas-search":
        cli.show(*summary.next_steps(run.path), *summary.caveat(run.settings, space))


def _said(args: argparse.Namespace) -> list[dict[str, Any]]:
    """What the user says: a file, then flags, then single settings."""
    file = [config.read(args.config)] if args.config else []
    return [*file, _flags(args), *(config.parse_setting(text) for text in args.set)]


def _resolve(
    args: argparse.Namespace, recorded: dict[str, Any] | None, path: Path, said: Sequence[Mapping[str, Any]]
) -> SearchConfig:
    """The config from what is said; a resumed run's own, in which only trials and time may grow."""
    if not recorded:
        return deployed(config.resolve(said), said)
    check_trusted(path, recorded, said, trusted=args.trust_code)
    settings = config.resolve([recorded, *said])
    before = config.resolve([recorded])
    options.check_unchanged(path, before, settings)
    if settings.trials < before.trials:
        raise InputError(f"--trials {settings.trials}: {path} was begun with {before.trials}; a run can only grow")
    check_time(path, before, settings, "--time ")
    return settings


def _flags(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given, as nested settings."""
    latency = args.target_latency
    flags = {
        "target_flops": args.target_flops,
        "resolution": args.resolution,
        "classes": args.classes,
        "space": args.space,
        "time": args.time,
        "trials": args.trials,
        "batch": args.batch,
        "asynchronous": args.asynchronous,
        "promote": args.promote,
        "final": args.final,
        "share": args.share,
        "seed": args.seed,
        "controller": {"name": args.controller, "preset": args.preset},
        "evaluator": options.evaluator_settings(args) | options.inherited(args),
        "objective": {
            "kind": args.objective,
            "exponent": args.exponent,
            "target_latency_ms": None if latency is None else parse_milliseconds(latency, "--target-latency"),
            "latency_device": args.latency_device,
        },
    }
    return config.given(flags)


def _run(run: StudyRun, engine: Engine, told: Sequence[Callable[[Trial], None]], program: str, *, quiet: bool) -> int:
    """Search, telling whoever wants to know of each trial, and print the result."""
    try:
        with SearchProgress(run.study, quiet=quiet) as progress:
            for trial in run.run(engine):
                for tell in (progress.update, *told):
                    tell(trial)
    except KeyboardInterrupt:
        report.write_ended(run.path)
        cli.say(f"Stopped after {len(run.finished)} of {run.settings.trials} trials; nothing finished is lost.")
        unfinished = [str(trial.number) for trial in run.trials if trial.evaluation is None]
        if unfinished:
            cli.say(f"Proposed but not finished, to be run again: trials {', '.join(unfinished)}.")
        begun = run.history.config
        cli.say("To go on:")
        cli.say(f"  {program} --run-dir {run.path} --resume{grown_flags(run.settings, begun)}{trust_flag(begun)}")
        return cli.INTERRUPTED
    report.write_ended(run.path)
    cli.show(*summary.result(run))
    return cli.DONE


if __name__ == "__main__":
    raise SystemExit(main())
