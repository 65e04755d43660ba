"""An evaluator that misbehaves as the seed of its job says; workers import it by name."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from evaluator.base import DeviceLost, Evaluation, Evaluator
from search_space.architecture import Architecture
from search_space.errors import InputError

FINE, RAISES, DIES, DIES_ONCE, HANGS, EXITS, EATS, FORKS, LOSES_DEVICE = range(0, 900, 100)
"""What an evaluation does, by its seed; seeds between them do as the kind below them."""


@dataclass(frozen=True, kw_only=True)
class VictimConfig:
    folder: str
    """Where it notes what happened."""
    timeout: float = 60.0
    sleep: float = 0.0
    refuse: str = ""
    """Why it cannot be made at all."""
    start: Literal["fine", "raises", "dies", "hangs", "on-one-node"] = "fine"
    """What its constructor does; the last raises wherever it is made on the first node that it was made on."""


class Victim(Evaluator[VictimConfig]):
    Config = VictimConfig
    presets: ClassVar[dict[str, Any]] = {"default": VictimConfig(folder="/tmp")}

    def __init__(self, config: VictimConfig) -> None:
        super().__init__(config)
        if config.refuse:
            raise InputError(config.refuse)
        if config.start == "raises" or (config.start == "on-one-node" and on_first_node(Path(config.folder) / "node")):
            raise OSError("no such disk\nand more")
        if config.start == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if config.start == "hangs":
            time.sleep(1000)
        (Path(config.folder) / f"made-{os.getpid()}-{time.monotonic_ns()}").touch()

    def describe(self) -> dict[str, Any]:
        return {"victim": True}

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        time.sleep(self.config.sleep)
        kind = seed // 100 * 100
        mark = Path(self.config.folder) / f"died-{seed}"
        if kind == RAISES:
            raise RuntimeError("no such kernel\nand more")
        if kind == DIES or (kind == DIES_ONCE and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == LOSES_DEVICE and not mark.exists():
            mark.write_text(str(os.getpid()))
            raise DeviceLost("cuda failed: an illegal memory access was encountered")
        if kind == HANGS:
            ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock: no thread of the worker can help
        if kind == EXITS:
            raise SystemExit(3)
        if kind == FORKS:
            os.fork()
        if kind == EATS:
            eaten = []
            while len(eaten) < 40:
                eaten.append(b"x" * 10**8)
                time.sleep(0.02)
        accuracy = seed / 1000
        return Evaluation(status="ok", accuracy=accuracy, curve=(accuracy, fidelity / 10), losses=(1.5,), seconds=0.25)


def on_first_node(mark: Path) -> bool:
    """Whether this is the node that called this first."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    with suppress(FileExistsError), mark.open("x") as file:
        file.write(here)
    while not (first := mark.read_text()):
        time.sleep(0.01)
    return first == here
