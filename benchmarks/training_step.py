"""Our training step against the plain way of writing it: EfficientNet-B0 on small images, one CPU thread.

    OMP_NUM_THREADS=1 [ONEDNN_MAX_CPU_ISA=AVX2] python benchmarks/training_step.py [--sides 16 28 32 64]
        [--profile | --depthwise]

Plain: a DataLoader over PIL images with crop, flip and normalisation image by image, NCHW memory, the layers of
torch.nn, AdamW. Ours: `evaluator.training`. Both fp32, the same architecture, batch size and images, each in a process
of its own, as the two treat memory differently. Rounds alternate and CPU seconds are counted, so that other load on the
machine falls on both. The fastest round of each counts.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset

from evaluator.data.dataset import Images
from evaluator.data.statistics import channel_statistics
from evaluator.device.allocator import keep_freed_memory
from evaluator.recipe import Recipe
from evaluator.training import Trainer
from search_space.architecture import Architecture
from search_space.builder import Network, build_model
from search_space.cpu_layers import depthwise

BATCH, SIDES, NEEDED = 128, (16, 28, 32, 64), 2.5
DEPTHWISE = (
    (240, 3, 1, 1),
    (240, 3, 1, 2),
    (240, 5, 1, 1),
    (240, 5, 1, 2),
    (240, 5, 1, 3),
    (240, 5, 1, 4),
    (240, 5, 2, 4),
    (240, 7, 1, 4),
    (240, 5, 1, 8),
    (240, 7, 1, 8),
    (120, 5, 1, 16),
    (32, 5, 1, 64),
    (32, 7, 1, 64),
)
"""Channels, kernel, stride and side of the map."""


class PlainImages(Dataset[tuple[torch.Tensor, int]]):
    """PIL images, transformed one at a time."""

    def __init__(self, data: Images) -> None:
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in data.images]
        self.labels = data.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = ImageOps.expand(self.images[index], border=4)
        side = image.width - 8
        left, top = random.randint(0, 8), random.randint(0, 8)
        image = image.crop((left, top, left + side, top + side))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - 0.5) / 0.25, self.labels[index]


def network(data: Images, fast: bool) -> Network:
    """EfficientNet-B0 for these images.

    Without `fast` its layers are torch.nn's, as one with a hook is called, and SiLU works in place, as in timm's.
    """
    b0 = dataclasses.replace(Architecture.load("efficientnet-b0"), resolution=data.images.shape[-1])
    model = build_model(dataclasses.replace(b0, classes=10, dropout=0.0))
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.AdaptiveAvgPool2d) and not fast:
            module.register_forward_pre_hook(lambda module, inputs: None)
        if isinstance(module, nn.SiLU) and not fast:
            module.inplace = True
    return model


def plain_steps(data: Images) -> Iterator[None]:
    """Train, one step at a time."""
    model = network(data, fast=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(PlainImages(data), batch_size=BATCH, shuffle=True, drop_last=True)
    while True:
        for images, labels in loader:
            loss = functional.cross_entropy(model(images), labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield


def our_steps(data: Images, fast: bool = True) -> Iterator[None]:
    """Train, one step at a time."""
    trainer = Trainer(network(data, fast), channel_statistics(data.images), Recipe(), mirror=True)
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(data), generator=generator)
        for first in range(0, len(data), BATCH):
            trainer.step(data[order[first : first + BATCH]], generator).item()
            yield


def noise(side: int) -> Images:
    """Images of random pixels."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (8 * BATCH, 3, side, side), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.randint(10, (len(pixels),), generator=generator))


def serve(loop: Callable[[Images], Iterator[None]], side: int, line: Connection) -> None:
    """Answer each number of steps with the CPU seconds that they took, until it is 0."""
    torch.set_num_threads(1)
    steps = loop(noise(side))
    next(steps)  # warm-up
    while count := line.recv():
        start = time.process_time()
        for _ in range(count):
            next(steps)
        line.send(time.process_time() - start)


def ratio(side: int, rounds: int, steps: int) -> float:
    """Print a line of the table; images a second, ours over plain."""
    spawn, lines = multiprocessing.get_context("spawn"), []
    for loop in (plain_steps, our_steps):
        line, far = spawn.Pipe()
        spawn.Process(target=serve, args=(loop, side, far), daemon=True).start()
        lines.append(line)
    best = [float("inf")] * len(lines)
    for _ in range(rounds):
        for index, line in enumerate(lines):
            line.send(steps)
            best[index] = min(best[index], line.recv())
    for line in lines:
        line.send(0)
    plain, ours = (steps * BATCH / seconds for seconds in best)
    print(f"{side:6} {plain:8.1f} {ours:8.1f} {ours / plain:6.2f}x", flush=True)
    return ours / plain


def print_profile(side: int, fast: bool, steps: int) -> None:
    """Print where a step's time goes, by operation, with the fast layers or without."""
    loop = our_steps(noise(side), fast)
    next(loop)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            next(loop)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    print(f"\n{side} pixels, {'our layers' if fast else 'plain layers'}: {total / steps / 1000:.0f} ms a step")
    for event in events[:8]:
        milliseconds = event.self_cpu_time_total / steps / 1000
        print(f"  {event.key:36} {milliseconds:8.1f} ms {event.self_cpu_time_total / total:6.1%}")


def print_depthwise(rounds: int) -> None:
    """Print the milliseconds of depthwise convolutions, forward and backward, plain and ours."""
    keep_freed_memory()
    print("channels, kernel, stride, map: plain and ours, ms")
    for channels, kernel, stride, side in DEPTHWISE:
        conv = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        x = torch.randn(BATCH, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
        best = []
        for way in (conv, lambda x, conv=conv: depthwise(conv, x)):
            gradient = torch.randn_like(way(x))
            seconds = []
            for _ in range(2 + rounds):
                start = time.process_time()
                way(x).backward(gradient)
                seconds.append(time.process_time() - start)
            best.append(min(seconds[2:]) * 1000)
        print(f"{channels}, {kernel}, {stride}, {side}x{side}: {best[0]:.1f}, {best[1]:.1f}", flush=True)


def main() -> None:
    """Print the tables; exit with 1 where ours is not fast enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="pixels")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2, help="steps a round")
    parser.add_argument("--profile", action="store_true", help="print a step's operations, before and after, instead")
    parser.add_argument("--depthwise", action="store_true", help="print the times of single convolutions instead")
    args = parser.parse_args()
    torch.set_num_threads(1)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "not set")
    print(f"torch {torch.__version__}: {torch.backends.cpu.get_cpu_capability()}; ONEDNN_MAX_CPU_ISA {limit}")
    if args.profile:
        for side in args.sides:
            for fast in (False, True):
                print_profile(side, fast, args.steps)
        return
    if args.depthwise:
        print_depthwise(args.rounds)
        return
    print(f"{'pixels':6} {'plain':>8} {'ours':>8} {'ratio':>7}   images/s, batch {BATCH}")
    worst = min(ratio(side, args.rounds, args.steps) for side in args.sides)
    print(f"worst {worst:.2f}x; needed {NEEDED}x")
    raise SystemExit(0 if worst >= NEEDED else 1)


if __name__ == "__main__":
    main()
