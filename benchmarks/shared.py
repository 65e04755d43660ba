"""What one training with shared weights says of networks, against trainings of their own.

    python -m benchmarks.shared --data cifar10:DIR --target 3M --networks 12 --out shared-cifar10

Networks are drawn uniformly from a narrow band of MACs and trained from scratch at full width: first for about as long
as the shared training takes a network, then longer, which is what all else is compared with. Kendall's tau has a 95 %
interval over networks. Everything is kept in --out, and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluator.data.dataset import Dataset, load_dataset
from evaluator.shared.network import SharedNetwork
from evaluator.shared.scoring import SharedScorer, hold_out
from evaluator.shared.training import BATCH_SIZE, Progress, SharedTraining
from evaluator.training import Recipe, fit
from evaluator.training_free import GradientNorm, TrainingFreeConfig
from nas.statistics import rank_correlation
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.fitting import Deployment
from search_space.fitting import fit as fit_space
from search_space.io.amounts import parse_amount
from search_space.io.files import write_atomic
from search_space.seeding import derive_seed
from search_space.space import SearchSpace
from search_space.uniform import UniformNetworks

BAND = (0.8, 1.2)
"""MACs of the networks that are compared, as multiples of the target."""
TRAINED = (0.5, 1.5)
"""MACs of the networks that share a training: what a search may propose."""
VALIDATION = 4000  # images, or a quarter where there are few


def main() -> None:
    """Train, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--target", default="3M")
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--images", default="60000,120000", help="that the shared training sees, where it is scored")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--train-images", type=int, default=10_000, help="of the separate trainings")
    parser.add_argument("--epochs", type=int, default=4, help="of the separate trainings that are compared with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(args.data)
    side, target = dataset.train.images.shape[-1], parse_amount(args.target)
    size = Deployment(resolution=side, classes=len(dataset.classes), target_macs=target)
    space = fit_space(SearchSpace.load(args.space), size)
    networks = _sample(space, target, args.networks, args.seed)
    scores, costs = _shared(args, space, dataset, networks, target)
    for name, trained in (("separate, short", 1), ("separate, long", args.epochs)):
        rows = list(_separate(args, dataset, networks, trained))
        costs[name] = sum(row["seconds"] for row in rows)
        scores[f"{name}: loss"] = [-row["loss"] for row in rows]
        scores[f"{name}: accuracy"] = [row["accuracy"] for row in rows]
    scores["MACs"] = [count(network).macs for network in networks]
    scores["parameters"] = [count(network).params for network in networks]
    scores["depth"] = [sum(stage.layers for stage in network.stages) for network in networks]
    gradients = GradientNorm(TrainingFreeConfig(resolution=side))
    scores["gradient L1 norm"] = [gradients.log_score(network) for network in networks]
    _print(scores, costs, args)


def _sample(space: SearchSpace, target: int, number: int, seed: int) -> list[Architecture]:
    """Distinct networks of the band."""
    low, high = (int(factor * target) for factor in BAND)
    uniform, generator = UniformNetworks(space, (low, high)), np.random.default_rng(derive_seed(seed, "compared"))
    found: dict[str, Architecture] = {}
    while len(found) < number:
        network = uniform.draw(generator)
        found.setdefault(network.key, network)
    return list(found.values())


def _shared(
    args: argparse.Namespace, space: SearchSpace, dataset: Dataset, networks: list[Architecture], target: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Minus the loss of each network after so many images, and the CPU seconds that it took."""
    data = dataset.train
    shared = SharedNetwork(
        space, width=args.width, unstrided=0, resolution=data.images.shape[-1], classes=len(dataset.classes)
    )
    train, scored = hold_out(data.labels, args.seed)
    low, high = (int(factor * target) for factor in TRAINED)
    training = SharedTraining(shared, data, train, mirror=dataset.mirror, seed=args.seed, macs=(low, high))
    print(f"{shared.size:,} shared weights at width {args.width}; space {space.name} at {args.target} MACs", flush=True)
    scores, costs, known = {}, {}, args.out / "shared.json"
    found = json.loads(known.read_text()) if known.exists() else {}
    if found and (args.out / "shared.pt").exists():
        training.load(args.out / "shared.pt")
    for images in map(int, args.images.split(",")):
        name = f"shared, {images:,} images"
        if name not in found:
            start = time.process_time()
            training.run(args.out / "shared.pt", steps=images // BATCH_SIZE, report=_report)
            seconds = time.process_time() - start + max((row["seconds"] for row in found.values()), default=0.0)
            start = time.process_time()
            losses = SharedScorer(shared, training.averages, data, scored).losses(networks)
            found[name] = {"seconds": seconds, "losses": losses, "scoring": time.process_time() - start}
            write_atomic(known, json.dumps(found))
            print(f"{name}: {seconds:.0f} s, scoring {found[name]['scoring'] / len(networks):.3f} s each", flush=True)
        scores[f"{name}: loss"] = [-loss for loss in found[name]["losses"]]
        costs[name] = found[name]["seconds"]
    return scores, costs


def _separate(
    args: argparse.Namespace, dataset: Dataset, networks: list[Architecture], epochs: int
) -> Iterator[dict[str, Any]]:
    """Each network trained from scratch: validation loss and accuracy, CPU seconds."""
    data = dataset.train
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed(args.seed, "separate")))
    held = min(VALIDATION, len(data) // 4)
    validation, train = order[:held], order[held : held + args.train_images]
    for network in networks:
        path = args.out / f"{network.key}-{epochs}.json"
        if not path.exists():
            start = time.process_time()
            model = build_model(network, generator=torch.Generator().manual_seed(derive_seed(args.seed, "weights")))
            recipe = Recipe(epochs=epochs)
            found = fit(model, data, train, validation, recipe, mirror=dataset.mirror, seed=args.seed)
            assert found.accuracy is not None, found.reason
            row = {"loss": found.losses[-1], "accuracy": found.accuracy, "seconds": time.process_time() - start}
            write_atomic(path, json.dumps(row))
            print(f"{network.key}: {epochs} epochs, {row}", flush=True)
        yield json.loads(path.read_text())


def _print(scores: dict[str, list[float]], costs: dict[str, float], args: argparse.Namespace) -> None:
    truth = "separate, long: "
    print(f"\n{args.networks} networks; tau with the accuracy, and with the loss, of {args.epochs} epochs; CPU seconds")
    print(f"{'score':<34}{'accuracy':>24}{'loss':>24}{'seconds':>9}")
    for name, values in scores.items():
        if not name.startswith(truth):
            taus = [rank_correlation(values, scores[truth + what], args.seed) for what in ("accuracy", "loss")]
            cost = costs.get(name.partition(":")[0], 0.0)
            print(f"{name:<34}{taus[0]!s:>24}{taus[1]!s:>24}{cost:>9.0f}")
    spread = [float(np.std(scores[truth + what])) for what in ("accuracy", "loss")]
    print(f"spread of the long trainings: accuracy {spread[0]:.4f}, loss {spread[1]:.4f}")


def _report(progress: Progress) -> None:
    print(f"step {progress.steps}: loss {progress.loss:.3f}, {progress.images_per_sec:.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
