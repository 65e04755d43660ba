"""Where the time of a default run goes, on one worker and on all that fit.

    python -m benchmarks.search_time [flags of nas-search]

Each run is `nas-search` itself in a process of its own; what is measured is wall time, each moment counted once.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEFAULT = ["--target-flops", "400M"]
PARTS = ("imports", "start-up of workers", "waiting for evaluations", "controller", "journal", "report and exports")


class Clock:
    """Wall time by part; a part within another stops the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time the block as `name`."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Time every call of a function as `name`."""
        inner: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(inner)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return inner(*args, **kwargs)

        setattr(owner, method, timed)


def measured(argv: list[str]) -> None:
    """Run `nas-search` in this process and print its parts as JSON, last."""
    clock, started = Clock(), time.perf_counter()
    with clock.part("the rest"):
        with clock.part("imports"):
            from controller.guided import Guided
            from nas.commands import search
            from nas.journal import Journal
            from nas.runs.search import StudyRun
        for owner, method, name in (
            (Guided, "ask", "controller"),
            (Guided, "tell", "controller"),
            (Journal, "append", "journal"),
            (StudyRun, "export", "report and exports"),
            (search.report, "write_ended", "report and exports"),
        ):
            clock.wrap(owner, method, name)
        make, workers = search.make_engine, []

        def make_engine(*args: Any) -> Any:
            with clock.part("start-up of workers"):
                engine = make(*args)
            workers.append(engine.workers)
            run = engine.run

            def timed(jobs: Any) -> Iterator[Any]:
                results = run(jobs)
                while True:
                    with clock.part("waiting for evaluations"):
                        result = next(results, None)
                    if result is None:
                        return
                    yield result

            engine.run = timed
            return engine

        search.make_engine = make_engine
        code = search.main(argv)
    total = time.perf_counter() - started
    print(json.dumps({"code": code, "total": total, "workers": workers[0], "parts": clock.seconds}))


def trained(run: Path) -> float:
    """Seconds of training in a run and its trust report."""
    rows = (json.loads(line) for path in run.rglob("journal.jsonl") for line in path.read_text().splitlines())
    done = [row for row in rows if row["event"] in ("finished", "reference") and row.get("repeat_of") is None]
    return sum(row["evaluation"]["seconds"] for row in done)


def search(argv: list[str], folder: Path) -> subprocess.Popen[str]:
    """Begin a search in a process of its own; its last line is what `measured` prints."""
    own = [*argv, "--quiet", "--run-dir", str(folder)]
    command = [sys.executable, "-m", "benchmarks.search_time", "measured", *own]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main(argv: list[str]) -> None:
    """Print the table."""
    import torch

    print(f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}")
    totals = []
    for flags in (["--workers", "1"], []):
        with tempfile.TemporaryDirectory() as folder:
            out, _ = search([*argv, *flags], Path(folder) / "run").communicate()
            found = json.loads(out.splitlines()[-1])
            parts, workers, busy = found["parts"], found["workers"], trained(Path(folder))
        totals.append(found["total"])
        print(f"\n{workers} worker{'s' if workers > 1 else ''}: {found['total']:.1f} s")
        for name in (*PARTS, "the rest"):
            print(f"  {name:<28} {parts.get(name, 0.0):7.2f} s {parts.get(name, 0.0) / found['total']:7.1%}")
        idle = 1 - busy / (workers * parts["waiting for evaluations"])
        rate = busy / found["total"]
        print(f"  workers idle while there is work {idle:.1%}; training {busy:.1f} s, {rate:.2f} at a time")
    print(f"\nall workers against one: {totals[0] / totals[1]:.2f} times faster", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        one_core = [*argv, "--workers", "1"]
        at_once = [search(one_core, Path(folder) / str(number)) for number in range(workers)]
        seconds = [json.loads(one.communicate()[0].splitlines()[-1])["total"] for one in at_once]
    ceiling = workers * totals[0] / max(seconds)
    print(f"as many searches at once, a worker each: {max(seconds):.1f} s each, so {ceiling:.2f} times is the most")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measured"]:
        measured(sys.argv[2:])
    else:
        main(sys.argv[1:] or DEFAULT)
