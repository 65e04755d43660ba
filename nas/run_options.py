"""The flags of commands that leave a run behind: how networks are scored, where, and the run itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nas import config, evaluator_options, run_dir
from nas.config import RunConfig
from nas.engines import options
from search_space.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the shared groups of flags; the last, the run's, is returned for what only one command can do."""
    evaluator_options.add_arguments(parser)
    options.add_arguments(parser)
    run = parser.add_argument_group("the run")
    run.add_argument("--run-dir", type=Path, metavar="DIR", help="where results go (default: runs/<date>-<time>)")
    run.add_argument("--resume", action="store_true", help="go on with the run in --run-dir")
    run.add_argument("--config", metavar="FILE", help="settings as YAML; flags override it")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting: evaluator.epochs=5")
    run.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same result (default: 0)")
    run.add_argument("--dry-run", action="store_true", help="show what would be searched, and the time it would take")
    run.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return run


def locate(args: argparse.Namespace) -> tuple[Path, dict[str, Any] | None]:
    """The run's directory, and the config recorded there if the run goes on.

    Raises:
        InputError: A new run would touch what is there, or there is no run to go on with.
    """
    if not args.resume:
        path: Path = args.run_dir or run_dir.default_path()
        run_dir.check_free(path)
        return path, None
    if args.run_dir is None:
        raise InputError("--resume: name the run with --run-dir")
    return args.run_dir, run_dir.recorded_config(args.run_dir)


def check_unchanged(path: Path, before: RunConfig, after: RunConfig) -> None:
    """Refuse to go on with other settings than a run was begun with.

    Raises:
        InputError: Settings differ, beyond those that may; they are named.
    """
    if changed := config.differences(before, after):
        raise InputError(f"--resume: {path} was begun with other settings: {'; '.join(changed)}")
