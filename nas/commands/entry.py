"""What the installed programs call. A command's own imports take a second: Ctrl-C in it ends in one line as well."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable


def _program(name: str) -> Callable[[], int]:
    """The program ``nas-NAME``, which imports its command when it is called."""

    def program() -> int:
        try:
            main: Callable[[], int] = importlib.import_module(f"nas.commands.{name}").main
        except KeyboardInterrupt:
            print(f"nas-{name}: interrupted", file=sys.stderr)  # noqa: T201 - where cli cannot be imported yet
            return 130
        return main()

    return program


bench = _program("bench")
export = _program("export")
fit = _program("fit")
grid = _program("grid")
report = _program("report")
scale = _program("scale")
search = _program("search")
space = _program("space")
train = _program("train")
trust = _program("trust")
