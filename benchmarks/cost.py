"""Closed-form cost against a thop profile: equal numbers, and how much sooner.

    python benchmarks/cost.py

The profile is timed on a network that is already built; building it comes on top.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from evaluator.device.profiler import thop_cost
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.space import SearchSpace

NEEDED = 1000  # times faster


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Median wall time of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print the table; exit with 1 where numbers differ or the closed form is not fast enough."""
    torch.set_num_threads(1)
    generator, space = np.random.default_rng(0), SearchSpace.load("efficientnet")
    networks = {name: Architecture.load(name) for name in ("efficientnet-b0", "mnasnet-a1", "mnasnet-b1")}
    networks |= {f"random {number}": space.sample(generator) for number in range(5)}
    print(f"{'network':16} {'MACs':>13} {'parameters':>11} {'equal':>6} {'closed form':>12} {'thop':>9} {'ratio':>8}")
    ratios, equal = [], True
    for name, architecture in networks.items():
        cost, model = count(architecture), build_model(architecture)
        profiled = thop_cost(model)
        same = (profiled.macs, profiled.params) == (cost.macs, cost.params)
        closed = seconds(lambda a=architecture: count(a), 500)
        thop = seconds(lambda m=model: thop_cost(m), 5)
        equal, ratios = equal and same, [*ratios, thop / closed]
        print(
            f"{name:16} {cost.macs:13,} {cost.params:11,} {'yes' if same else 'NO':>6} "
            f"{closed * 1e6:9.1f} us {thop * 1e3:6.1f} ms {ratios[-1]:7,.0f}x"
        )
    print(f"smallest ratio {min(ratios):,.0f}x; needed {NEEDED:,}x")
    raise SystemExit(0 if equal and min(ratios) >= NEEDED else 1)


if __name__ == "__main__":
    main()
