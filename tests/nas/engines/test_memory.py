"""A network that takes more memory than there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.engines.base import Job
from search_space.architecture import Architecture
from tests.nas.engines.victims import EATS, FINE

B0 = Architecture.load("efficientnet-b0")
GB = 10**9


def memory() -> tuple[int, int]:
    """Of this machine, and what is free of it, bytes."""
    rows = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
    sizes = {row[0]: 1024 * int(row[1]) for row in rows}
    return sizes["MemTotal:"], sizes["MemAvailable:"]


@pytest.mark.slow
def test_a_network_out_of_memory_is_infeasible_and_the_search_goes_on(
    start_engine: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total, free = memory()
    if free < 6 * GB:
        pytest.skip("needs 6 GB of free memory")
    # Far below what is there: Ray kills only its own workers, and the network takes 4 GB at most.
    monkeypatch.setenv("RAY_memory_usage_threshold", str((total - free + 2 * GB) / total))
    jobs = [Job(trial=trial, architecture=B0, seed=seed) for trial, seed in enumerate((FINE, EATS, FINE + 1))]
    with start_engine(tmp_path, "--engine", "ray", "--workers", "1", "--max-failures", "1") as engine:
        results = dict(engine.run(jobs))
    assert [results[n].status for n in range(3)] == ["ok", "infeasible", "ok"]
    assert results[1].reason.startswith("its worker died 2 times: OutOfMemoryError: 1 worker(s) were killed")
