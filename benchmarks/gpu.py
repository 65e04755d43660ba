"""All that is to be known of this project on a GPU, in one command of under 8 minutes.

    python -m benchmarks.gpu [--out bench-gpu] [--parts limits steps ...] [--seconds 470] [--smoke]

Prints rows as they are measured, and after each row writes OUT/gpu.json and OUT/gpu.md, the tables. Each part is a
process of its own with a time limit of its own: one that fails or hangs is recorded with one line, and costs the others
nothing but time. With --smoke sizes it runs on a CPU in about a minute; such figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.on_gpu import packing, parts, tables
from benchmarks.on_gpu.loops import FULL, SMOKE, Row, Sizes
from search_space.io.files import write_atomic

PARTS: dict[str, tuple[Callable[[Sizes], Iterator[Row]], float]] = {
    "limits": (parts.limits, 45),
    "steps": (parts.steps, 180),
    "packing": (packing.packing, 110),
    "profile": (parts.profile, 60),
    "journal": (parts.journal, 90),
    "streams": (packing.streams, 45),
    "deterministic": (parts.deterministic, 60),
    "latency": (parts.latency, 45),
    "mps": (packing.mps, 110),
}
"""In the order of their worth, and the most seconds that each may take."""
LEAST = 10.0
"""Seconds that are left below which no part is begun."""


def main() -> None:
    """Measure; exit with 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench-gpu"), help="folder of gpu.json and gpu.md")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (all)")
    parser.add_argument("--seconds", type=float, default=470.0, help="after which no part goes on (470)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does it run?")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # what the processes are started with
    args = parser.parse_args()
    sizes = SMOKE if args.smoke else FULL
    if args.part:
        if args.smoke:
            torch.set_num_threads(1)  # threads that wait for a busy core cost more than they gain
        for row in PARTS[args.part][0](sizes):
            print(json.dumps(row), flush=True)
        return
    failed = measure(args.out, args.parts, args.seconds, args.smoke)
    print((args.out / "gpu.md").read_text())
    raise SystemExit(1 if failed else 0)


def measure(out: Path, names: list[str], seconds: float, smoke: bool) -> int:
    """Run the parts one after the other; how many failed."""
    deadline, rows, failed = time.monotonic() + seconds, [], 0
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        start = time.monotonic()
        limit = min(PARTS[name][1], deadline - start)
        command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, *(["--smoke"] if smoke else [])]
        found = run(command, limit) if limit >= LEAST else iter([{"failed": "no time was left"}])
        for row in found:
            failed += "failed" in row
            rows.append({"part": name, **row})
            print(f"{name}: {row}", flush=True)
            write(out, rows)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return failed


def write(out: Path, rows: list[Row]) -> None:
    """Keep what is known so far, and what follows from it."""
    everything = rows + tables.distance(rows) + tables.extrapolated(rows)
    write_atomic(out / "gpu.json", json.dumps(everything, indent=1).encode())
    write_atomic(out / "gpu.md", tables.markdown(everything, "python -m benchmarks.gpu").encode())


def run(command: list[str], limit: float) -> Iterator[Row]:
    """The rows that a part's process prints, as they come; the last one says what went wrong, if something did."""
    # cuBLAS repeats exactly only with a workspace of a fixed size.
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    ) as part:
        late, errors = threading.Event(), list[str]()
        assert part.stdout is not None
        assert part.stderr is not None

        def end() -> None:
            late.set()
            os.killpg(part.pid, signal.SIGKILL)  # its own children included

        reader = threading.Thread(target=errors.extend, args=(part.stderr,))
        timer = threading.Timer(limit, end)
        reader.start()
        timer.start()
        try:
            for line in part.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            code = part.wait()
        finally:
            timer.cancel()
            reader.join(5)
    if late.is_set():
        yield {"failed": f"not done after {limit:.0f} s"}
    elif code:
        said = [line.strip() for line in errors if line.strip()]
        yield {"failed": said[-1][:300] if said else f"exit status {code}"}
        sys.stderr.write("".join(errors[-30:]))


if __name__ == "__main__":
    main()
