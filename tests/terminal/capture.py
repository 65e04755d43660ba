"""What a terminal of 60, 80 and 120 columns shows of each command: real runs in tmux, kept as text beside this file.

    python -m tests.terminal.capture            write all captures anew

A line that the terminal had to break is joined again, so a line longer than the terminal is one that did not fit.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from search_space.architecture import Architecture, Stage

WIDTHS = (60, 80, 120)
TOY = "--evaluator tests.toys:SteadyEvaluator --engine local"
COMMANDS = {
    "search": "nas-search --target-flops 400M --evaluator imagenet --controller evolution --trials 12 --engine local "
    "--run-dir runs/published",
    "final": f"nas-search --target-flops 400M --controller evolution --trials 12 {TOY} --trust 0% --final 2 "
    "--run-dir runs/mine",
    "trust": "nas-trust runs/mine --budget 200% --trust-code --engine local",
    "grid": f"nas-grid --phi 1 --arch efficientnet-b0 {TOY} --repeats 3 --run-dir runs/grid",
    "train": "nas-train network.yaml --data digits --epochs 3 -o trained/mine",
}
"""In this order: trust needs what the final leaves. Only the training takes time; the others look up or make up
their accuracies, which are the same everywhere."""
NETWORK = Architecture(
    resolution=16,
    classes=10,
    stem=16,
    stages=(
        Stage(op="conv", expand=1, kernel=3, channels=16),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=24),
    ),
    head=64,
)
"""What is trained: it learns in seconds."""
HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]


def captures(width: int, folder: Path) -> Iterator[tuple[str, str]]:
    """Each command's name and what a terminal of so many columns shows when it has ended, run one after the other."""
    (folder / "network.yaml").write_text(NETWORK.to_yaml(), encoding="utf-8")
    for name, command in COMMANDS.items():
        yield name, capture(command, width, folder)


def capture(command: str, width: int, folder: Path, *, colours: bool = False) -> str:
    """What a terminal of so many columns shows of a command that is run in `folder`, with its escapes for `colours`."""
    tmux = ["tmux", "-L", f"capture-{uuid.uuid4().hex}", "-f", os.devnull]
    program, _, flags = command.partition(" ")
    module = f"nas.commands.{program.removeprefix('nas-')}"
    run = shlex.join([sys.executable, "-m", module, *shlex.split(flags)])
    signal = shlex.join([*tmux, "wait-for", "-S", "ended"])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    environment.pop("TMUX", None)
    size = ["new-session", "-d", "-x", str(width), "-y", "60", "-c", str(folder), f"{run}; {signal}; sleep 60"]
    begin = [*tmux, "set-option", "-g", "history-limit", "5000", ";", *size]
    try:
        subprocess.run(begin, env=environment, check=True)
        subprocess.run([*tmux, "wait-for", "ended"], check=True, timeout=3600)
        shown = subprocess.run(
            [*tmux, "capture-pane", "-p", "-J", "-S", "-"], check=True, capture_output=True, text=True
        )
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    lines = [line.rstrip() for line in shown.stdout.rstrip().splitlines()]
    return "\n".join([f"$ {command}", *lines, ""])


if __name__ == "__main__":
    for columns in WIDTHS:
        with tempfile.TemporaryDirectory() as place:
            for which, text in captures(columns, Path(place)):
                (HERE / f"{which}-{columns}.txt").write_text(text, encoding="utf-8")
