"""Measured latency of a network: FLOPs mislead where memory, depth or the kernels at hand decide.

The median of timed runs of batch 1 in evaluation mode, after a warm-up. On a CPU one thread runs the network, and its
own clock is read, which stands still while another program has the core: on a busy machine the wall clock told 2 to 6
times as much.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.errors import InputError

Device = Literal["cpu", "cuda"]

WARM_UP_RUNS = 5
TIMED_RUNS = 30


def median_ms(
    call: Callable[[], object],
    runs: int = TIMED_RUNS,
    warm_up: int = WARM_UP_RUNS,
    clock: Callable[[], float] = time.thread_time,
) -> float:
    """Median time of a call in milliseconds; the first calls, which allocate and choose kernels, do not count.

    Args:
        call: What to time.
        runs: Calls that count.
        warm_up: Calls before them.
        clock: Seconds; by default those that this thread computed.
    """
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(runs):
        start = clock()
        call()
        times.append(clock() - start)
    return statistics.median(times) * 1000


class LatencyMeter:
    """Measures networks on one device, each distinct one once."""

    def __init__(self, device: Device = "cpu") -> None:
        """Measure on `device`.

        Raises:
            InputError: There is no such device here.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("latency device must be cpu where there is no CUDA device, got 'cuda'")
        self.device = device
        self._known: dict[str, float] = {}

    def measure(self, architecture: Architecture) -> float:
        """Milliseconds an image at the architecture's resolution, batch 1, untrained weights."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self._measure(architecture)
        return self._known[architecture.key]

    def _measure(self, architecture: Architecture) -> float:
        network = build_model(architecture).eval().to(self.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        side = architecture.resolution
        image = torch.zeros(1, 3, side, side, device=self.device).to(memory_format=torch.channels_last)

        def call() -> None:
            network(image)
            if self.device == "cuda":
                torch.cuda.synchronize()

        with torch.inference_mode(), one_thread():
            return median_ms(call, clock=time.thread_time if self.device == "cpu" else time.perf_counter)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one CPU thread for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
