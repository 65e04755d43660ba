"""How soon the first line appears: CPU seconds of `import nas`, help screens and a mistake, in fresh processes.

    python benchmarks/startup.py

The best of seven runs each: what else the machine does only adds. Python's own start is the first row.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 7
ROWS = {
    "python -c pass": ["-c", "pass"],
    "import nas": ["-c", "import nas"],
    **{f"nas-{name} --help": ["-m", f"nas.commands.{name}", "--help"] for name in ("search", "grid", "train", "scale")},
}


def cpu_seconds(arguments: list[str], code: int = 0) -> float:
    """User and system time of a Python process that ends with an exit code."""
    before, quiet = os.times(), subprocess.DEVNULL
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=quiet, stderr=quiet)
    assert done.returncode == code, arguments
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def main() -> None:
    """Print the table."""
    for name, arguments in ROWS.items():
        print(f"{name:24}{min(cpu_seconds(arguments) for _ in range(RUNS)):6.2f} s")
    mistake = ["-m", "nas.commands.search", "--target-flops", "400M", "--trials", "0"]
    print(f"{'nas-search --trials 0':24}{min(cpu_seconds(mistake, code=2) for _ in range(RUNS)):6.2f} s")


if __name__ == "__main__":
    main()
