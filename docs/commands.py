"""Writes docs/commands.md, the help screens of all commands.

python docs/commands.py
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

COMMANDS = ("search", "grid", "scale", "train", "fit", "export", "report", "trust", "bench", "space")


def page() -> str:
    """The page's text."""
    parts = ["# All flags\n\nThe help screens, as `nas-search --help` and the others print them.\n"]
    for name in COMMANDS:
        parser: argparse.ArgumentParser = importlib.import_module(f"nas.commands.{name}")._parser()
        screens = [parser, *_subcommands(parser)]
        parts += [f"## {screen.prog}\n\n```text\n{screen.format_help()}```\n" for screen in screens]
    return "\n".join(parts)


def _subcommands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [command for action in actions for command in action.choices.values()]


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
