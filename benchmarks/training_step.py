"""Our training step against the plain way of writing it: EfficientNet-B0 on 32x32 images, one CPU thread.

    python benchmarks/training_step.py [--rounds 4] [--steps 4]

Plain: a DataLoader over PIL images with crop, flip and normalisation image by image, NCHW memory, AdamW. Ours:
`evaluator.training`. Both fp32, the same network, batch size and images; rounds alternate, so that other load on
the machine falls on both.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from evaluator.data.dataset import Images
from evaluator.training import Recipe, Trainer, channel_statistics
from search_space.architecture import Architecture
from search_space.builder import build_model

BATCH, SIDE, NEEDED = 128, 32, 2.0
B0 = dataclasses.replace(Architecture.load("efficientnet-b0"), resolution=SIDE, classes=10, dropout=0.0)


class PlainImages(Dataset[tuple[torch.Tensor, int]]):
    """PIL images, transformed one at a time."""

    def __init__(self, data: Images) -> None:
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in data.images]
        self.labels = data.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = ImageOps.expand(self.images[index], border=4)
        left, top = random.randint(0, 8), random.randint(0, 8)
        image = image.crop((left, top, left + SIDE, top + SIDE))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - 0.5) / 0.25, self.labels[index]


def plain_steps(data: Images) -> Iterator[None]:
    """Train, one step at a time."""
    model = build_model(B0)
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


def our_steps(data: Images) -> Iterator[None]:
    """Train, one step at a time."""
    trainer = Trainer(build_model(B0), channel_statistics(data.images), Recipe(), mirror=True)
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(data), generator=generator)
        for first in range(0, len(data), BATCH):
            trainer.step(data[order[first : first + BATCH]], generator).item()
            yield


def main() -> None:
    """Print the table; exit with 1 where ours is not fast enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (8 * BATCH, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    data = Images(pixels, torch.randint(10, (len(pixels),), generator=generator))
    loops = {"plain": plain_steps(data), "ours": our_steps(data)}
    spent = dict.fromkeys(loops, 0.0)
    for steps in loops.values():
        next(steps)  # warm-up
    print(f"{'images/s':10} {'plain':>8} {'ours':>8} {'ratio':>7}")
    images = args.steps * BATCH
    for number in range(args.rounds):
        seconds = {}
        for name, steps in loops.items():
            start = time.perf_counter()
            for _ in range(args.steps):
                next(steps)
            seconds[name] = time.perf_counter() - start
            spent[name] += seconds[name]
        plain, ours = images / seconds["plain"], images / seconds["ours"]
        print(f"round {number + 1:<4} {plain:8.1f} {ours:8.1f} {ours / plain:6.2f}x", flush=True)
    plain, ours = (args.rounds * images / spent[name] for name in ("plain", "ours"))
    print(f"{'all':10} {plain:8.1f} {ours:8.1f} {ours / plain:6.2f}x; needed {NEEDED:.0f}x")
    raise SystemExit(0 if ours / plain >= NEEDED else 1)


if __name__ == "__main__":
    main()
