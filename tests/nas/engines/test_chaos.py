"""A search on a cluster under fire ends as a quiet one: workers and the driver killed, a node removed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.journal import read
from tests.nas.engines.processes import command, descendants
from tests.runs import events

ROOT = Path(__file__).parents[3]
TRIALS, BATCH, WORKER_KILLS, DRIVER_KILLS = 100, 10, 40, 5
SEARCH = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--set", "evaluator.sleep=0.5", "--quiet"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback alone
}


@pytest.fixture
def cluster() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).parent / "cluster_host.py"), "2", "2"]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        yield host
        assert host.stdin is not None
        host.stdin.close()
        try:
            host.wait(30)
        except subprocess.TimeoutExpired:
            host.kill()


def search(run: Path, *flags: str) -> subprocess.Popen[bytes]:
    code = "from nas.commands.search import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, *SEARCH, "--run-dir", str(run), *flags]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finished(run: Path) -> list[dict[str, Any]]:
    path = run / "journal.jsonl"
    return [event for event in read(path) if event["event"] == "finished"] if path.exists() else []


def busy_workers(host: int) -> list[int]:
    """The cluster's processes that evaluate trials now; no other cluster's."""
    titles = {pid: command(pid).split(b"\0")[0] for pid in descendants(host)}
    return [pid for pid, title in titles.items() if title.startswith(b"ray::") and b"evaluate" in title]


def kill_one_of(pids: list[int], moments: random.Random) -> bool:
    try:
        os.kill(moments.choice(pids), signal.SIGKILL)
    except (IndexError, ProcessLookupError):
        return False
    return True


@pytest.mark.slow
def test_a_search_under_fire_equals_a_quiet_one(tmp_path: Path, cluster: subprocess.Popen[str]) -> None:
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    address = cluster.stdout.readline().strip()
    quiet, run, moments = tmp_path / "quiet", tmp_path / "run", random.Random(0)
    flags = ["--trials", str(TRIALS), "--batch", str(BATCH)]
    ray = ["--engine", "ray", "--ray-address", address, "--workers", "4", "--max-failures", "10"]
    local = search(quiet, *flags)
    driver = search(run, *flags, *ray)
    worker_kills = driver_kills = 0
    removed = False
    # The driver dies at even distances, once it has finished some trials; workers die all along.
    driver_deaths = [TRIALS * (n + 1) // (DRIVER_KILLS + 1) for n in range(DRIVER_KILLS)]
    while driver.poll() is None:
        time.sleep(moments.uniform(0.2, 1.0))
        done = len(finished(run))
        if worker_kills < WORKER_KILLS and worker_kills <= done * WORKER_KILLS / TRIALS * 1.5:
            worker_kills += kill_one_of(busy_workers(cluster.pid), moments)
        if not removed and done >= TRIALS // 2:
            cluster.stdin.write("remove\n")
            cluster.stdin.flush()
            assert cluster.stdout.readline() == "removed\n"
            removed = True
        if driver_deaths and done >= driver_deaths[0]:
            driver_deaths.pop(0)
            driver.kill()
            driver.communicate()
            driver_kills += 1
            driver = search(run, "--resume", "--trust-code", *ray)
    _, errors = driver.communicate()
    assert driver.returncode == 0, errors.decode()
    assert (worker_kills, driver_kills, removed) == (WORKER_KILLS, DRIVER_KILLS, True)
    assert Counter(event["trial"] for event in finished(run)) == Counter(range(TRIALS))
    local.communicate()
    assert local.returncode == 0
    assert result(run) == result(quiet)


def result(run: Path) -> list[Any]:
    """Everything that was found and learned, trials by number and references by name, times aside."""
    rows = events(run)
    trials = sorted((row for row in rows if row["event"] == "finished"), key=lambda row: row["trial"])
    references = sorted((row for row in rows if row["event"] == "reference"), key=lambda row: row["name"])
    return [trials, references, [row for row in rows if row["event"] in ("proposed", "updated")]]
