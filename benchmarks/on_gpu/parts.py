"""What `benchmarks/gpu.py` measures in one process: each part is a function that yields rows as soon as it has them.

A row is a flat mapping of names to numbers and words. Each part runs in a process of its own (benchmarks/gpu.py), so it
may leave the device in any state. With ``smoke`` sizes all of them run on a CPU as well; such figures mean nothing.
"""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.on_gpu.loops import (
    SMOKE,
    Row,
    Sizes,
    b0,
    device,
    kernels,
    our_loop,
    plain_loop,
    recorded_loop,
    steps_per_second,
    wait,
    warm,
)
from evaluator.device.latency import LatencyMeter
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count

PROFILED = 5  # steps


def limits(sizes: Sizes) -> Iterator[Row]:
    """What the device can do at most: matrix products, memory, launches."""
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        memory = round(found.total_memory / 2**30, 1)
        yield {"device": found.name, "memory_gib": memory, "multiprocessors": found.multi_processor_count}
    yield {"torch": torch.__version__, "cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    side = sizes.matrix
    left, right = (torch.randn(side, side, device=device(), dtype=torch.bfloat16) for _ in range(2))
    rate = statistics.median(steps_per_second(lambda: left @ right, sizes.seconds / 3) for _ in range(3))
    yield {"bf16_matmul_tflops": round(2 * side**3 * rate / 1e12, 1), "rows": side}
    source = torch.randint(256, (sizes.copied,), dtype=torch.uint8, device=device())
    target = torch.empty_like(source)
    rate = statistics.median(steps_per_second(lambda: target.copy_(source), sizes.seconds / 3) for _ in range(3))
    yield {"copy_tb_per_second": round(2 * sizes.copied * rate / 1e12, 3), "gib": round(sizes.copied / 2**30, 2)}
    small = torch.zeros(1, device=device())
    launched = 100 * steps_per_second(lambda: [small.add_(1) for _ in range(100)], sizes.seconds / 3)
    yield {"launches_per_second": round(launched)}


def steps(sizes: Sizes) -> Iterator[Row]:
    """Images a second of B0's training step: the plain loop, our step, our step captured."""
    for side in sorted(sizes.sides, key=lambda side: side not in sizes.ends):  # those that matter most first
        origin, plain = plain_loop(side, sizes.batch)
        ours = our_loop(side, sizes.batch, record=False)
        start = time.perf_counter()
        recorded = recorded_loop(side, sizes.batch)
        first = time.perf_counter() - start
        rates: dict[str, list[float]] = {"plain": [], "ours": [], "captured": []}
        for _ in range(sizes.rounds):
            for (name, found), loop in zip(rates.items(), (plain, ours, recorded), strict=True):
                with kernels(benchmark=name == "plain"):
                    found.append(sizes.batch * steps_per_second(loop, sizes.seconds))
        median = {name: statistics.median(found) for name, found in rates.items()}
        spread = max((max(found) - min(found)) / median[name] for name, found in rates.items())
        yield {
            "pixels": side,
            "batch": sizes.batch,
            **{f"{name}_images_per_second": round(found) for name, found in median.items()},
            "captured_over_plain": round(median["captured"] / median["plain"], 2),
            "spread": f"{spread:.1%}",
            "first_steps_seconds": round(first, 2),
            "plain_network": origin,
            **floors(side, sizes.batch),
        }
        del plain, ours, recorded
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def floors(side: int, batch: int) -> Row:
    """What a step does at least, an image: multiply-adds three times over, and each kernel's reading and writing.

    A layer reads its input and writes its output forward, and backward reads the output's gradient and its input again
    and writes the input's gradient, 2 bytes a number; the optimizer reads 16 bytes a weight and writes 12.
    """
    architecture = b0(side)
    model = build_model(architecture).to("meta").eval()
    numbers = 0

    def add(module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        nonlocal numbers
        numbers += 3 * inputs[0].numel() + 2 * output.numel()

    for module in model.modules():
        if not list(module.children()) and not isinstance(module, nn.Identity | nn.Dropout):
            module.register_forward_hook(add)
    model(torch.zeros(1, 3, side, side, device="meta"))
    cost = count(architecture)
    megabytes = (2 * numbers + 28 * cost.params / batch) / 1e6
    return {"gflop_per_image": round(6 * cost.macs / 1e9, 3), "megabytes_per_image": round(megabytes, 2)}


def profile(sizes: Sizes) -> Iterator[Row]:
    """Where a step's time goes: the share in which the device waits for launches, and the kernels that take longest."""
    for side in sizes.ends:
        for record in (False, True):
            with kernels(benchmark=False):
                spans = traced(warm(our_loop(side, sizes.batch, record)), PROFILED)
            name = "captured" if record else "ours"
            total = sum(end - start for start, end, _ in spans)
            first, last = min(start for start, _, _ in spans), max(end for _, end, _ in spans)
            gaps = 1 - covered(spans) / (last - first)
            about = {"pixels": side, "step": name}
            yield {
                **about,
                "milliseconds": round((last - first) / 1000 / PROFILED, 3),
                "kernels": len(spans) // PROFILED,
                "gaps": pct(gaps),
            }
            for column, key in (("family", family), ("kernel", lambda name: name[:70])):
                shares: Counter[str] = Counter()
                for start, end, kernel in spans:
                    shares[key(kernel)] += end - start
                for kernel, taken in shares.most_common(6):
                    yield {**about, column: kernel, "share": pct(taken / total)}


def traced(loop: Callable[[], object], steps: int) -> list[tuple[float, float, str]]:
    """Start and end (microseconds) and name of what the device ran; without a GPU, of the CPU's operations."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    wanted = {"cpu_op"}
    if torch.cuda.is_available():
        activities, wanted = [torch.profiler.ProfilerActivity.CUDA], {"kernel", "gpu_memcpy", "gpu_memset"}
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(steps):
            loop()
        wait()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    found = [(float(e["ts"]), float(e["ts"]) + float(e["dur"]), e["name"]) for e in events if e.get("cat") in wanted]
    if not found:
        raise RuntimeError("the profiler saw nothing on the device")
    return found


def covered(spans: list[tuple[float, float, str]]) -> float:
    """The time in which at least one of them runs."""
    total, until = 0.0, float("-inf")
    for start, end, _ in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


FAMILIES = {
    "optimizer": r"adam|multi_tensor",
    "batch norm": r"bn_|batch_norm|batchnorm",
    "depthwise convolution": r"depthwise|dwconv|dgrad2d_c1|wgrad2d_c1|conv2d_c1|grouped",
    "matrix products and convolutions": r"gemm|conv|cutlass|xmma|nvjet|dgrad|wgrad|fprop|mma|winograd|splitk",
    "sums and means": r"reduce|softmax|nll|pool",
    "copies": r"memcpy|memset|copy|cat|index|gather|nchwto|nhwcto",
    "elementwise": r"elementwise|vectorized|silu|sigmoid|mul|add",
}


def family(kernel: str) -> str:
    """What kind of kernel it is, by its name."""
    return next((kind for kind, pattern in FAMILIES.items() if re.search(pattern, kernel, re.IGNORECASE)), "other")


def pct(share: float) -> str:
    """A share, for people."""
    return f"{share:.1%}"


def deterministic(sizes: Sizes) -> Iterator[Row]:
    """What kernels that repeat exactly cost, which every search uses, on a captured step."""
    modes = {
        "repeating kernels (a search)": {"deterministic": True, "benchmark": False},
        "any kernels": {"deterministic": False, "benchmark": False},
        "the fastest of all kernels": {"deterministic": False, "benchmark": True},
    }
    for side in sizes.ends:
        for name, flags in modes.items():
            with torch.backends.cudnn.flags(enabled=True, **flags):
                loop = warm(our_loop(side, sizes.batch, record=True))
                rates = [sizes.batch * steps_per_second(loop, sizes.seconds) for _ in range(sizes.rounds)]
            yield {"pixels": side, "mode": name, "images_per_second": round(statistics.median(rates))}


def journal(sizes: Sizes) -> Iterator[Row]:
    """Whether two searches of one seed leave the same trials."""
    target = ["--target-flops", "400M", "--trials", str(sizes.trials), "--batch", "2", "--epochs", "2"]
    # As many images as make batches: what is compared is whether trainings repeat, not what they reach.
    where = ["--engine", "local", "--trust", "0%", "--seed", "1", "--set", "evaluator.resolution=16"]
    small = ["--set", "evaluator.max_images=200"] if sizes is SMOKE else []
    found: list[list[Any]] = []
    for number in range(2):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder, "run")
            command = [sys.executable, "-m", "nas.commands.search", *target, *where, *small, "--run-dir", str(run)]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"nas-search: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
            found.append(list(trials(run / "journal.jsonl")))
        yield {"search": number + 1, "trials": len(found[-1]), "seconds": round(time.perf_counter() - start, 1)}
    yield {"same_trials": found[0] == found[1], "accuracies": " ".join(str(result[1]) for result in found[0][:6])}


def trials(path: Path) -> Iterator[tuple[Any, ...]]:
    """What a journal says of each trial, times aside."""
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "finished":
            found = event["evaluation"]
            curve, losses = found.get("curve"), found.get("losses")
            yield event["trial"], found.get("accuracy"), found["status"], curve, losses, event.get("reward")


def latency(sizes: Sizes) -> Iterator[Row]:
    """Milliseconds an image as a search measures them, again and again."""
    smoke = not torch.cuda.is_available()
    for name in ("efficientnet-b0", "mobilenet-v2", "mnasnet-a1", "resnet-18", "resnet-50"):
        known = Architecture.load(name)
        network = dataclasses.replace(known, resolution=32) if smoke else known
        found = [LatencyMeter("cpu" if smoke else "cuda").measure(network) for _ in range(sizes.latencies)]
        middle = statistics.median(found)
        yield {
            "network": name,
            "pixels": network.resolution,
            "macs": count(network).macs,
            "milliseconds": round(middle, 3),
            "least": round(min(found), 3),
            "most": round(max(found), 3),
            "spread": pct((max(found) - min(found)) / middle),
        }
