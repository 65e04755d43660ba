"""What a step of a shared training costs, beside one of the widest network trained alone.

    python -m benchmarks.sharing.cost [--space efficientnet --target 3M --side 32] [--space FILE ...]

Each runs in a process of its own, on one core, on random pixels: images/s, the peak of its memory beyond that of a
process that only holds the images, and which share of a shared step it takes to draw a network and to gather its
weights. Both train the same space at the same width and batch, with the same optimizer.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch

from evaluator.data.dataset import Images
from evaluator.shared.evaluator import Shared, SharedConfig
from evaluator.shared.network import SharedNetwork
from evaluator.shared.training import BATCH_SIZE, SharedTraining
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.fitting import Deployment, fit
from search_space.io.amounts import parse_amount
from search_space.space import SearchSpace
from search_space.uniform import UniformNetworks

IMAGES = 2048
STEPS = {"shared": (400, 200), "widest": (20, 60)}
"""To warm up, and to time: layers are built when they are first met, most of them in the first 400 steps."""
BAND = (0.5, 1.5)
"""MACs of the networks that share weights, as multiples of the target."""


class Widest(UniformNetworks):
    """Draws one network, the one with the most MACs."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        _, most = space.macs_range()
        self.network = _largest(space, most)

    def draw(self, generator: np.random.Generator) -> Architecture:
        """Always the same."""
        return self.network


def _largest(space: SearchSpace, macs: int) -> Architecture:
    """A network of so many MACs: every decision in turn at its dearest, until nothing is dearer."""
    tokens = list(space.encode(UniformNetworks(space).draw(np.random.default_rng(0))))
    while count(space.decode(tuple(tokens))).macs < macs:
        before = list(tokens)
        for place, decision in enumerate(space.decisions):
            options = [(*tokens[:place], token, *tokens[place + 1 :]) for token in range(len(decision.choices))]
            tokens = list(max(options, key=lambda option: count(space.decode(option)).macs))
        if tokens == before:
            break
    return space.decode(tuple(tokens))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--target", default="3M")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--measure", choices=("nothing", "shared", "widest"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.space, args.target, args.side)))
        return
    command = [sys.executable, "-m", "benchmarks.sharing.cost", *sys.argv[1:], "--measure"]
    rows = {}
    for what in ("nothing", "shared", "widest"):
        done = subprocess.run([*command, what], capture_output=True, text=True, check=True)
        rows[what] = json.loads(done.stdout)
    shared, widest, base = rows["shared"], rows["widest"], rows["nothing"]["megabytes"]
    print(f"{args.space} at {args.target}, {args.side} pixels, width {shared['width']:g}, batch {BATCH_SIZE}")
    print(f"one core of a CPU with {torch.backends.cpu.get_cpu_capability()}")
    for what, row in (("one path of the shared weights", shared), ("the widest network alone", widest)):
        print(
            f"{what:<32}{row['weights'] / 1e6:8.2f}M weights  {row['images_per_sec']:6.0f} images/s  "
            f"{row['megabytes'] - base:6.0f} MB"
        )
    print(f"drawing a network: {shared['drawing']:.1%} of a step; gathering its weights: {shared['gathering']:.1%}")


def measure(what: str, name: str, target: str, side: int) -> dict[str, float]:
    """Figures of one training in this process."""
    torch.set_num_threads(1)
    macs = parse_amount(target)
    space = fit(SearchSpace.load(name), Deployment(resolution=side, classes=10, target_macs=macs))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (IMAGES, 3, side, side), generator=generator, dtype=torch.uint8)
    data = Images(pixels, torch.randint(10, (IMAGES,), generator=generator))
    width = Shared.deployed_as(SharedConfig(), side, macs).width
    shared = SharedNetwork(space, width=width, unstrided=0, resolution=side, classes=10)
    found: dict[str, float] = {"width": width, "weights": shared.size}
    if what != "nothing":
        band = int(BAND[0] * macs), int(BAND[1] * macs)
        training = SharedTraining(shared, data, torch.arange(IMAGES), mirror=False, seed=0, macs=band)
        if what == "widest":
            training._networks = widest = Widest(space)
            found["weights"] = count(shared.measured(widest.network)).params
        found |= _timed(training, *STEPS[what])
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _timed(training: SharedTraining, warm_up: int, steps: int) -> dict[str, float]:
    """Images a second, and which shares of a step drawing and gathering take."""
    spent = {"drawing": 0.0, "gathering": 0.0}

    def timed(name: str, function):  # type: ignore[no-untyped-def]
        def call(*args):  # type: ignore[no-untyped-def]
            start = time.perf_counter()
            result = function(*args)
            spent[name] += time.perf_counter() - start
            return result

        return call

    training._networks.draw = timed("drawing", training._networks.draw)  # type: ignore[method-assign]
    training._paths.network = timed("gathering", training._paths.network)  # type: ignore[method-assign]
    for _ in range(warm_up):
        training.step()
    spent.update(drawing=0.0, gathering=0.0)
    start = time.perf_counter()
    for _ in range(steps):
        training.step()
    passed = time.perf_counter() - start
    return {"images_per_sec": steps * BATCH_SIZE / passed, **{name: value / passed for name, value in spent.items()}}


if __name__ == "__main__":
    main()
