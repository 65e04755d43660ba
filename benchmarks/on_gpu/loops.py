"""The training loops that `benchmarks/gpu.py` times, and how they are timed."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from evaluator.data.dataset import Images
from evaluator.data.statistics import channel_statistics
from evaluator.device import captured
from evaluator.recipe import Recipe
from evaluator.training import Trainer
from search_space.architecture import Architecture
from search_space.builder import build_model

Row = dict[str, Any]
CLASSES = 100
STEPS_AT_A_TIME = 4 if torch.cuda.is_available() else 1  # between looks at the clock, on a GPU after waiting for it


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    sides: tuple[int, ...] = (32, 64, 128, 224)
    """Pixels."""
    batch: int = 128
    """Images a step."""
    seconds: float = 1.0
    """Of one timing."""
    rounds: int = 3
    """Timings of each loop, in turn; the median counts."""
    at_once: tuple[int, ...] = (1, 2, 4, 8)
    """Candidates that train at the same time, at the smallest side."""
    at_once_large: tuple[int, ...] = (1, 2)
    """Likewise at the largest side."""
    matrix: int = 8192
    """Rows of the matrices whose product is timed."""
    copied: int = 2**31
    """Bytes of the memory that is copied."""
    trials: int = 4
    """Networks of the searches whose journals are compared."""
    latencies: int = 10
    """Repeated measurements of a network's latency."""

    @property
    def ends(self) -> tuple[int, ...]:
        """The smallest side and the largest, where they differ."""
        return tuple(dict.fromkeys((self.sides[0], self.sides[-1])))


FULL = Sizes()
SMOKE = Sizes(
    sides=(16,),
    batch=4,
    seconds=0.05,
    rounds=1,
    at_once=(2,),
    at_once_large=(1,),
    matrix=128,
    copied=2**20,
    trials=1,
    latencies=2,
)


def device() -> torch.device:
    """The GPU, or in a trial without one the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wait() -> None:
    """Until the device has done all that was asked of it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def noise(side: int, batch: int) -> Images:
    """Images of random pixels, four batches of them, on the device."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (4 * batch, 3, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (len(pixels),), generator=generator)
    return Images(pixels.to(device()), labels.to(device()))


def b0(side: int) -> Architecture:
    """EfficientNet-B0 for these images."""
    known = Architecture.load("efficientnet-b0")
    return dataclasses.replace(known, resolution=side, classes=CLASSES, dropout=0.0)


def our_loop(side: int, batch: int, record: bool) -> Callable[[], object]:
    """A training step on B0 as a search takes it; each call is one step on the next batch of an epoch."""
    data = noise(side, batch)
    model = build_model(b0(side), generator=torch.Generator().manual_seed(0)).to(device()).train()
    trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=True)
    generator = torch.Generator(device()).manual_seed(0)
    captured._side_stream.cache_clear()  # a stream of its own: graphs that run at once may share no workspace
    step = captured.make_step(lambda some: trainer.step(some, generator), trainer.optimizer, generator, record)
    parts = itertools.cycle(torch.randperm(len(data), device=device()).split(batch))
    trainer.set_learning_rate(1e-3)
    return lambda: step(data[next(parts)])


def recorded_loop(side: int, batch: int) -> Callable[[], object]:
    """`our_loop`, captured, with the kernels of a search."""
    with kernels(benchmark=False):
        return warm(our_loop(side, batch, record=True))


def warm(loop: Callable[[], object]) -> Callable[[], object]:
    """The loop after the steps in which it is captured."""
    for _ in range(captured.CAPTURE_STEPS):
        loop()
    wait()
    return loop


def plain_loop(side: int, batch: int) -> tuple[str, Callable[[], object]]:
    """The usual way of writing it: timm's B0, bf16 autocast, channels_last, AdamW; and where its network is from.

    Its batches lie on the device and are only normalised, and it never looks at the loss: no loader is timed.
    """
    try:
        import timm

        origin, model = "timm", timm.create_model("efficientnet_b0", num_classes=CLASSES)
    except Exception as error:  # noqa: BLE001 - a broken timm or torchvision raises anything
        origin, model = f"ours, as timm cannot be imported ({type(error).__name__})", build_model(b0(side))
    model = model.to(device(), memory_format=torch.channels_last).train()
    data = noise(side, batch)
    mean, std = (torch.full((1, 3, 1, 1), value, device=device()) for value in (127.5, 64.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    parts = itertools.cycle(torch.randperm(len(data), device=device()).split(batch))

    def step() -> None:
        some = data[next(parts)]
        optimizer.zero_grad()
        with torch.autocast(device().type, dtype=torch.bfloat16, enabled=device().type == "cuda"):
            images = ((some.images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(model(images), some.labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()

    return origin, step


def steps_per_second(step: Callable[[], object], seconds: float) -> float:
    """Steps a second over at least so many seconds; the first step is not counted."""
    step()
    wait()
    start, done = time.perf_counter(), 0
    while True:
        for _ in range(STEPS_AT_A_TIME):
            step()
        wait()
        done += STEPS_AT_A_TIME
        passed = time.perf_counter() - start
        if passed >= seconds:
            return done / passed


@contextlib.contextmanager
def kernels(*, benchmark: bool) -> Iterator[None]:
    """cuDNN's choice of kernels: the usual loop's fastest of all, or those that repeat exactly, as in a search."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=benchmark, deterministic=not benchmark):
        yield
