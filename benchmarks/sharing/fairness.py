"""Which networks a shared training should draw: one a step, in pairs of opposites, the extremes with others.

    python -m benchmarks.sharing.fairness --data cifar10:DIR --seeds 8 --first-seed 206 --out fairness-cifar10

The truth is small_cifar10.csv beside this file. Every way sees the same images, `--images` of them:

- single: a step trains one network, drawn uniformly (arXiv:1904.00420); what a search does;
- alternate: as single, but of two steps the second trains the first one's opposite, with every other choice;
- strict: a step trains both, each on half of the batch, and then moves the weights once (FairNAS, arXiv:1907.01845: in
  a step every choice is trained once; here each decision has two);
- sandwich: a step trains the smallest, the largest and two random networks, each on a quarter of the batch
  (arXiv:1903.05134).

Printed are Kendall's tau of the loss on 2,048 held-out images with the accuracies, its paired difference from single
with Student's 95 % interval over seeds, and CPU seconds a training. Everything is kept in --out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.sharing.truth import SPACE, accuracies, networks
from evaluator.data.augmentation import augment
from evaluator.data.dataset import Dataset, load_dataset
from evaluator.shared import training as shared_training
from evaluator.shared.network import SharedNetwork
from evaluator.shared.scoring import SharedScorer
from evaluator.shared.training import BATCH_SIZE, SharedTraining, normalise
from nas.statistics import paired_difference, rank_correlation
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Tokens
from search_space.io.files import make_folder, write_atomic
from search_space.seeding import derive_seed
from search_space.space import SearchSpace

SCORED = 2048
WIDTH = 0.5
Draw = Callable[[int], list[Architecture]]
"""From the number of a step to the networks that it trains."""


class Fair(SharedTraining):
    """A training of one set of weights, moved by the mean gradient of several networks."""

    def __init__(self, *args: object, draw: Draw, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self._draw = draw

    def step(self) -> float:
        """Train the networks of a step, each on its part of a batch."""
        drawn, batch = self._draw(self.steps), self._batch()
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "augment", self.steps))
        images = normalise(augment(batch.images, generator, self.mirror), self._statistics)
        gradient, total = torch.zeros_like(self.weights), 0.0
        used, decays = (torch.zeros_like(gradient, dtype=torch.bool) for _ in range(2))
        parts = zip(drawn, images.chunk(len(drawn)), batch.labels.chunk(len(drawn)), strict=True)
        for architecture, some, labels in parts:
            network = self._paths.network(architecture)
            loss = functional.cross_entropy(network(some), labels) / len(drawn)
            loss.backward()
            total += loss.item()
            for weight in network.parameters():
                assert weight.grad is not None
                place = weight.shape, weight.stride(), weight.storage_offset()
                gradient.as_strided(*place).add_(weight.grad)
                used.as_strided(*place).fill_(True)
                decays.as_strided(*place).fill_(weight.dim() > 1)
                weight.grad = None
        self._move(gradient, used, decays)
        self.steps += 1
        if self.steps % shared_training.STEPS_PER_AVERAGE == 0:
            decay = min(shared_training.AVERAGING, (1 + self.steps) / (10 + self.steps))
            self.averages.lerp_(self.weights, 1 - decay**shared_training.STEPS_PER_AVERAGE)
        return total

    @torch.no_grad()
    def _move(self, gradient: torch.Tensor, used: torch.Tensor, decays: torch.Tensor) -> None:
        """As `SharedTraining` does it, of all weights that were used at once."""
        gradient *= min(1.0, shared_training.CLIP / (float(gradient.norm()) + 1e-6))
        gradient += shared_training.WEIGHT_DECAY * self.weights * decays
        momentum = shared_training.MOMENTUM
        rate = shared_training.LEARNING_RATE * min((self.steps + 1) / shared_training.WARM_UP, 1.0)
        self.velocity.copy_(torch.where(used, momentum * self.velocity + gradient, self.velocity))
        self.weights -= rate * used * (gradient + momentum * self.velocity)


def ways(space: SearchSpace, all_of_them: dict[Tokens, Architecture], seed: int) -> dict[str, Draw]:
    """What each way trains in a step."""
    by_cost = sorted(all_of_them.values(), key=lambda network: count(network).macs)
    known = list(all_of_them)

    def draw(step: int, number: int = 1) -> list[Tokens]:
        generator = np.random.default_rng(derive_seed(seed, "network", step))
        return [known[i] for i in generator.integers(len(known), size=number)]

    def opposite(tokens: Tokens) -> Tokens:
        return tuple(len(d.choices) - 1 - token for d, token in zip(space.decisions, tokens, strict=True))

    def alternate(step: int) -> Tokens:
        (tokens,) = draw(step // 2)
        return opposite(tokens) if step % 2 else tokens

    return {
        "single": lambda step: [all_of_them[tokens] for tokens in draw(step)],
        "alternate": lambda step: [space.decode(alternate(step))],
        "strict": lambda step: [space.decode(t) for tokens in draw(step) for t in (tokens, opposite(tokens))],
        "sandwich": lambda step: [by_cost[0], by_cost[-1], *(all_of_them[tokens] for tokens in draw(step, 2))],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    make_folder(args.out)
    torch.set_num_threads(1)
    space = SearchSpace.load(SPACE)
    all_of_them, dataset = networks(space), load_dataset(args.data)
    known = accuracies()
    truth = [known[tokens] for tokens in all_of_them]
    taus: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for way, drawn in ways(space, all_of_them, seed).items():
            found = _trained(args.out / f"{way}-{seed}-{args.images}", drawn, dataset, seed, args.images)
            taus.setdefault(way, []).append(rank_correlation([-loss for loss in found["losses"]], truth, 0).tau)
            seconds.setdefault(way, []).append(found["seconds"])
    print(
        f"{len(truth)} networks, {args.images:,} images at width {WIDTH:g}, {args.seeds} seeds from {args.first_seed}"
    )
    for way, values in taus.items():
        more = paired_difference(values, taus["single"], 1)
        interval = "" if way == "single" else f"{more.mean:+.3f} [{more.low:+.3f}, {more.high:+.3f}]"
        each = " ".join(f"{value:.2f}" for value in values)
        print(f"{way:<10}  {np.mean(values):.3f}  {interval:<26}  {statistics.mean(seconds[way]):4.0f} s  ({each})")


def _trained(path: Path, drawn: Draw, dataset: Dataset, seed: int, images: int) -> dict[str, list[float]]:
    """Losses of all networks, and the CPU seconds of the training; what is known is not trained."""
    if not path.with_suffix(".json").exists():
        data, space, start = dataset.train, SearchSpace.load(SPACE), time.process_time()
        side, classes = data.images.shape[-1], len(dataset.classes)
        shared = SharedNetwork(space, width=WIDTH, unstrided=0, resolution=side, classes=classes)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        mirror = dataset.mirror
        training = Fair(shared, data, order[SCORED:], mirror=mirror, seed=seed, macs=space.macs_range(), draw=drawn)
        training.run(path.with_suffix(".pt"), steps=images // BATCH_SIZE)
        spent = time.process_time() - start
        losses = SharedScorer(shared, training.trained, data, order[:SCORED]).losses(list(networks(space).values()))
        write_atomic(path.with_suffix(".json"), json.dumps({"losses": losses, "seconds": spent}))
        print(f"{path.name}: {spent:.0f} s", flush=True)
    known: dict[str, list[float]] = json.loads(path.with_suffix(".json").read_text())
    return known


if __name__ == "__main__":
    main()
