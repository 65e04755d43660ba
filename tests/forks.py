"""Commands in processes forked from one that has loaded everything: kills fall into the work and not into imports."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

COMMANDS = ("search", "grid", "trust", "train", "fit", "export", "scale", "report")
FORKS = multiprocessing.get_context("forkserver")
LOADED = ("evaluator.proxy", "evaluator.short_training", "controller.guided", "controller.reinforce")
FORKS.set_forkserver_preload([f"nas.commands.{name}" for name in COMMANDS] + list(LOADED))


def start(argv: Sequence[str], folder: Path) -> ForkServerProcess:
    """A command with its arguments, begun in a folder."""
    process = FORKS.Process(target=_command, args=(argv, str(folder)))
    process.start()
    return process


def _command(argv: Sequence[str], folder: str) -> None:
    os.chdir(folder)
    sys.argv = [f"nas-{argv[0]}"]
    sys.stdout = sys.stderr = open(os.devnull, "w")
    sys.exit(importlib.import_module(f"nas.commands.{argv[0]}").main(list(argv[1:])))
