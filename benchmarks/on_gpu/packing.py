"""Several candidates at once on one GPU: in processes of their own, as Ray workers are, and on streams of one process.

All processes are made once; of each timing only the first so many work, and the others wait.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from benchmarks.on_gpu.loops import STEPS_AT_A_TIME, Row, Sizes, device, kernels, our_loop, recorded_loop, wait, warm

MOST_WAITING = 90.0  # seconds until the slowest process has its network


def packing(sizes: Sizes, how: str = "processes") -> Iterator[Row]:
    """Images a second of all candidates together, by their number."""
    for side, at_once in zip(sizes.ends, (sizes.at_once, sizes.at_once_large), strict=False):
        alone: dict[bool, float] = {}
        for record, number, rate in _processes(side, sizes, at_once):
            alone.setdefault(record, rate)
            yield {
                "pixels": side,
                "step": "captured" if record else "ours",
                "candidates": number,
                "in": how,
                "images_per_second": round(rate),
                "over_one": round(rate / alone[record], 2),
            }


def streams(sizes: Sizes) -> Iterator[Row]:
    """The same in one process: each candidate's graph is replayed on a stream of its own."""
    side = sizes.sides[0]
    loops = [recorded_loop(side, sizes.batch) for _ in range(max(sizes.at_once))]
    own = [torch.cuda.Stream() if torch.cuda.is_available() else None for _ in loops]
    for number in sizes.at_once:
        wait()
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < sizes.seconds:
            for _ in range(STEPS_AT_A_TIME):
                for loop, stream in zip(loops[:number], own, strict=False):
                    with torch.cuda.stream(stream):
                        loop()
            wait()
            done += STEPS_AT_A_TIME * number
        rate = done * sizes.batch / (time.perf_counter() - start)
        yield {
            "pixels": side,
            "step": "captured",
            "candidates": number,
            "in": "streams",
            "images_per_second": round(rate),
        }


def mps(sizes: Sizes) -> Iterator[Row]:
    """The processes again under NVIDIA's Multi-Process Service, which lets their kernels run at the same time.

    A service of our own that only these processes join; no setting of the device is changed.
    """
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None or not torch.cuda.is_available():
        yield {"mps": "not there: nvidia-cuda-mps-control is not installed"}
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CUDA_MPS_PIPE_DIRECTORY"] = os.environ["CUDA_MPS_LOG_DIRECTORY"] = folder
        subprocess.run([control, "-d"], check=True, timeout=20, stdout=subprocess.DEVNULL)
        try:
            yield from packing(sizes, "processes, MPS")
        finally:
            subprocess.run([control], input="quit\n", text=True, check=False, timeout=20, stdout=subprocess.DEVNULL)
            log = Path(folder, "server.log")
            served = log.is_file() and "new client" in log.read_text(errors="replace").lower()
        yield {"mps": "its log tells of clients" if served else "its log tells of no client: these figures are without"}


def _processes(side: int, sizes: Sizes, at_once: tuple[int, ...]) -> Iterator[tuple[bool, int, float]]:
    """Whether captured, how many at once, and images a second of all."""
    context = multiprocessing.get_context("spawn")
    size = max(at_once)
    barrier, results = context.Barrier(size + 1), context.SimpleQueue()
    arguments = (side, sizes, at_once, barrier, results)
    processes = [context.Process(target=_work, args=(rank, *arguments), daemon=True) for rank in range(size)]
    for process in processes:
        process.start()
    try:
        for record in (True, False):
            for number in at_once:
                barrier.wait(MOST_WAITING)  # all have their networks
                barrier.wait(MOST_WAITING + sizes.seconds)  # all are done
                yield record, number, sum(results.get() for _ in range(number))
    finally:
        for process in processes:
            process.terminate()
            process.join(10)


def _work(rank: int, side: int, sizes: Sizes, at_once: tuple[int, ...], barrier: Any, results: Any) -> None:
    """One candidate's process."""
    torch.set_num_threads(1)
    with kernels(benchmark=False):
        for record in (True, False):
            loop = warm(our_loop(side, sizes.batch, record))
            for number in at_once:
                barrier.wait(MOST_WAITING)
                if rank < number:
                    results.put(sizes.batch * _rate(loop, sizes.seconds))
                barrier.wait(MOST_WAITING + sizes.seconds)
            del loop
            if device().type == "cuda":
                torch.cuda.empty_cache()


def _rate(loop: Callable[[], object], seconds: float) -> float:
    """Steps a second for so long; all processes stop at the same time, or the last ones would run alone."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(STEPS_AT_A_TIME):
            loop()
        wait()
        done += STEPS_AT_A_TIME
    return done / (time.perf_counter() - start)
