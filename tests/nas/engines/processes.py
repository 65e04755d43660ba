"""What runs on this machine, and under whom."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE_SECS = 60.0


def descendants(root: int) -> list[int]:
    """All processes that `root` started, and those that they started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = read(path).rpartition(b")")[2].split()
        if fields:
            parents[int(path.parent.name)] = int(fields[1])
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sorted(family - {root})


def command(pid: int) -> bytes:
    """A process's command line; empty if it has ended."""
    return read(Path(f"/proc/{pid}/cmdline"))


def actors(root: int, method: bytes = b"") -> int:
    """How many workers of the Ray engine run under `root`, or are in a method: Ray puts it into their titles."""
    return sum(command(pid).startswith(b"ray::_Actor" + method) for pid in descendants(root))


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds, or does so soon: a process that was killed is not gone at once."""
    deadline = time.monotonic() + _PATIENCE_SECS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def read(path: Path) -> bytes:
    """A file's content; empty if it is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def listening_beyond_loopback(pids: list[int]) -> list[str]:
    """Addresses (hexadecimal, as /proc has them) at which these processes listen, other than loopback."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(link))
            except OSError:
                continue
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1].partition(":")[0], fields[3], fields[9]
            if state == "0A" and f"socket:[{inode}]" in sockets and not address.endswith("0100007F"):
                found.append(address)
    return found
