"""The flags that several commands share: how networks are scored, where, and the run itself."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from evaluator.registry import DATASETS, EVALUATORS
from nas.config import RunConfig
from nas.engines.make import EngineOptions
from nas.runs import directory
from nas.runs.header import differences, recorded_config
from search_space.errors import InputError


def add_evaluator(parser: argparse.ArgumentParser) -> None:
    """Add the evaluator's group of flags; `evaluator_settings` reads them."""
    score = parser.add_argument_group("how to score a network")
    score.add_argument("--data", metavar="DATA", help=f"{', '.join(DATASETS)} as name:DIR (default: digits)")
    score.add_argument("--evaluator", metavar="NAME", help=f"{', '.join(EVALUATORS)} (default: proxy)")
    score.add_argument(
        "--evaluator-preset", metavar="NAME", help="the proxy's demo, small, imagenet100 or imagenet (default: demo)"
    )
    score.add_argument("--epochs", type=int, metavar="N", help="epochs of the short training")
    score.add_argument("--trial-timeout", type=float, metavar="SECONDS", help="give up on a network after this long")
    add_mirror(score)
    score.add_argument("--device", metavar="NAME", help="auto, cpu or cuda")


def add_mirror(group: argparse._ArgumentGroup) -> None:
    """Add the flag that says what a data set may not know of itself."""
    group.add_argument(
        "--no-mirror",
        dest="mirror",
        action="store_const",
        const=False,
        help="never flip images left to right: letters, signs",
    )


def evaluator_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The evaluator's settings by flag, None where a flag was not given."""
    return {
        "name": args.evaluator,
        "preset": args.evaluator_preset,
        "data": args.data,
        "mirror": args.mirror,
        "epochs": args.epochs,
        "timeout": args.trial_timeout,
        "device": args.device,
    }


def add_inherit(group: argparse._ArgumentGroup) -> None:
    """Add the flags that name a checkpoint; `inherited` reads them."""
    group.add_argument(
        "--inherit", metavar="CHECKPOINT", help="begin every network with a trained one's weights: file, or its folder"
    )
    group.add_argument("--parent", metavar="NET", help="network that they are of (default: network.yaml beside them)")


def inherited(args: argparse.Namespace) -> dict[str, Any]:
    """The evaluator's settings of what every network begins with; empty where that was not asked for.

    Raises:
        InputError: The checkpoint cannot be read, or it is not said which network it is of.
    """
    if args.inherit is None:
        if args.parent:
            raise InputError("--parent: says what a checkpoint's weights are of; name the checkpoint too")
        return {}
    from nas.training.initial import locate  # loads torch

    weights, parent = locate(args.inherit, args.parent)
    return {"inherit": weights, "parent": parent}


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the engine's group of flags; `engine_options` reads them."""
    group = parser.add_argument_group("where networks are evaluated")
    group.add_argument(
        "--engine", choices=("local", "ray"), help="this process, or Ray workers (default: Ray where several fit)"
    )
    group.add_argument("--workers", type=int, metavar="N", help="evaluations at a time (default: all that fit)")
    group.add_argument("--ray-address", metavar="ADDRESS", help="ray: a running cluster, auto or HOST:PORT")
    group.add_argument("--cpus-per-trial", type=float, metavar="N", help="ray: cores an evaluation (default: 1)")
    group.add_argument(
        "--gpus-per-trial", type=float, metavar="N", help="ray: GPUs an evaluation, e.g. 0.25 (default: a fair share)"
    )
    group.add_argument(
        "--max-failures", type=int, metavar="N", help="ray: tries after a worker died under a network (default: 3)"
    )


def engine_options(args: argparse.Namespace) -> EngineOptions:
    """What the engine's flags ask for.

    Raises:
        InputError: Flags that contradict each other, or out of range.
    """
    return EngineOptions(**{field.name: getattr(args, field.name) for field in fields(EngineOptions)})


def add_run(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the flags of the run itself; returned for what only one command can do."""
    run = parser.add_argument_group("the run")
    run.add_argument("--run-dir", type=Path, metavar="DIR", help="where results go (default: runs/<date>-<time>)")
    run.add_argument("--resume", action="store_true", help="go on with the run in --run-dir")
    run.add_argument("--dry-run", action="store_true", help="show what would be searched, and the time it would take")
    run.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same result (default: 0)")
    run.add_argument("--config", metavar="FILE", help="settings as YAML; flags override it")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting: evaluator.epochs=5")
    run.add_argument("--quiet", action="store_true", help="no progress, only the result")
    run.add_argument(
        "--trust-code", action="store_true", help="--resume: import code and write to folders that its journal names"
    )
    return run


def locate_run(args: argparse.Namespace, command: str) -> tuple[Path, dict[str, Any] | None]:
    """The run's directory, and the config recorded there if the run goes on.

    Args:
        args: Of `add_run`.
        command: ``nas-search`` or ``nas-grid``.

    Raises:
        InputError: A new run would touch what is there, or there is no run to go on with: where nothing was recorded,
            what was asked for is not known either.
    """
    if not args.resume:
        path: Path = args.run_dir or directory.default_path()
        directory.check_free(path)
        return path, None
    if args.run_dir is None:
        raise InputError("--resume: name the run with --run-dir")
    recorded = recorded_config(args.run_dir, command)
    if recorded is None:
        raise InputError(
            f"--run-dir {args.run_dir}: nothing was recorded there yet; start the run again, without --resume"
        )
    return args.run_dir, recorded


def check_unchanged(path: Path, before: RunConfig, after: RunConfig) -> None:
    """Refuse to go on with other settings than a run was begun with.

    Raises:
        InputError: Settings differ, beyond those that may; they are named.
    """
    if changed := differences(before, after):
        raise InputError(f"--resume: {path} was begun with other settings: {'; '.join(changed)}")
