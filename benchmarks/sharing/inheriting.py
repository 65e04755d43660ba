"""Whether trainings that begin with shared weights rank better, or learn sooner, than those from scratch at equal cost.

    python -m benchmarks.sharing.ranking --data cifar10:DIR --space FILE --target 4M --networks 40 ... --out OUT
    python -m benchmarks.sharing.inheriting --data cifar10:DIR --space FILE --target 4M --networks 40 ... --out OUT

The networks and their long trainings are those that benchmarks/sharing/ranking.py left in --out. Weights are shared at
the networks' own width and trained on --shared images; then each network trains once over --own images, beginning with
its part of them. From scratch each trains over as many more images as make the total equal. Kendall's tau with the
accuracies of the long trainings has a 95 % interval over networks, and so has what inheriting has over scratch.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.sharing import ranking
from benchmarks.sharing.ranking import SEARCHED, Length
from evaluator.data.dataset import Dataset, load_dataset
from evaluator.recipe import Recipe
from evaluator.shared.network import Paths, SharedNetwork
from evaluator.shared.parent import RETAKEN, Inherited
from evaluator.shared.training import BATCH_SIZE, SharedTraining
from evaluator.training import fit
from nas.statistics import rank_advantage, rank_correlation
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.fitting import Deployment
from search_space.fitting import fit as fit_space
from search_space.io.amounts import parse_amount
from search_space.io.files import write_atomic
from search_space.seeding import derive_seed
from search_space.space import SearchSpace


def main() -> None:
    """Train what is not trained yet, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--space", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--networks", type=int, required=True)
    parser.add_argument("--long", default="8x6000", help="as the ranking had it")
    parser.add_argument("--judged", type=int, default=ranking.JUDGED, help="as the ranking had it")
    parser.add_argument("--shared", type=int, default=60_000, help="images that the shared training sees")
    parser.add_argument("--own", type=int, default=2500, help="images that each network then trains on")
    parser.add_argument("--rates", default="0.01,0.003,0.001", help="learning rates after inheriting, comma-separated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset, target = load_dataset(args.data), parse_amount(args.target)
    side = dataset.train.images.shape[-1]
    size = Deployment(resolution=side, classes=len(dataset.classes), target_macs=target)
    space = fit_space(SearchSpace.load(args.space), size)
    networks = ranking.sample(space, target, args.networks, args.seed)
    shared = SharedNetwork(space, width=1.0, unstrided=0, resolution=side, classes=len(dataset.classes))
    weights = _weights(args, shared, dataset, target)
    long, longer = Length.parse(args.long), args.own + args.shared // args.networks
    truth = [
        ranking.train(args.data, args.out, args.seed, long, args.judged, network)["accuracy"] for network in networks
    ]
    scratch = Length.parse(f"1x{longer}")
    rows = {f"from scratch, {longer} images": [_scratch(args, scratch, network) for network in networks]}
    for rate in map(float, args.rates.split(",")):
        name = f"inherited, {args.own} images, rate {rate:g}"
        rows[name] = [_inherited(args, Paths(shared, weights), dataset, network, rate) for network in networks]
    print(f"{args.networks} networks on {args.data}; {args.shared:,} images for shared weights of width 1")
    first = next(iter(rows.values()))
    for name, found in rows.items():
        for what, sign in (("accuracy", 1), ("loss", -1)):
            score, other = ([sign * row[what] for row in some] for some in (found, first))
            tau = rank_correlation(score, truth, args.seed)
            more = "" if found is first else f"  {rank_advantage(score, other, truth, args.seed)} more"
            print(f"{name:<38} {what:<9} mean {np.mean([row[what] for row in found]):.3f}  tau {tau}{more}")


def _weights(args: argparse.Namespace, shared: SharedNetwork, dataset: Dataset, target: int) -> torch.Tensor:
    """(size,) averaged weights after the shared training."""
    path, start = args.out / "inherited.pt", time.process_time()
    images, scratch = len(dataset.train), args.own + args.shared // args.networks
    held = [ranking.parts(images, Length("", 1, number, 0.0), 0, args.seed)[1] for number in (args.own, scratch)]
    judges = ranking.parts(images, Length("", 1, 1, 0.0), args.judged, args.seed)[1]
    unseen = torch.cat([*held, judges])  # what is scored on may not be known from the shared training
    train = torch.arange(images)[~torch.isin(torch.arange(images), unseen)]
    macs = int(SEARCHED[0] * target), int(SEARCHED[1] * target)
    training = SharedTraining(shared, dataset.train, train, mirror=dataset.mirror, seed=args.seed, macs=macs)
    training.set_steps = args.shared // BATCH_SIZE  # one set: a network can begin with one only
    if path.exists():
        training.load(path)
    training.run(path, steps=training.set_steps, report=ranking.report)
    print(f"shared weights: {shared.size:,}, {time.process_time() - start:.0f} CPU seconds", flush=True)
    return training.trained[0]


def _scratch(args: argparse.Namespace, length: Length, network: Architecture) -> dict[str, float]:
    return ranking.train(args.data, args.out, args.seed, length, 0, network)


def _inherited(
    args: argparse.Namespace, paths: Paths, dataset: Dataset, network: Architecture, rate: float
) -> dict[str, float]:
    """Held-out loss and accuracy of a network that begins with its shared weights; kept in `args.out`."""
    path = args.out / f"{network.key}-inherited-{args.shared}-{args.own}@{rate:g}.json"
    if not path.exists():
        length, start = Length(path.stem, 1, args.own, rate), time.process_time()
        train, held = ranking.parts(len(dataset.train), length, 0, args.seed)
        model = build_model(network, generator=torch.Generator().manual_seed(derive_seed(args.seed, "weights")))
        with torch.no_grad():
            for own, given in zip(model.parameters(), paths.network(network).parameters(), strict=True):
                own.copy_(given)
        recipe = Recipe(epochs=1, learning_rate=rate)
        known = Inherited(retaken=RETAKEN)
        found = fit(model, dataset.train, train, held, recipe, mirror=dataset.mirror, seed=args.seed, inherited=known)
        assert found.accuracy is not None, found.reason
        row = {"loss": found.losses[-1], "accuracy": found.accuracy, "seconds": time.process_time() - start}
        write_atomic(path, json.dumps(row))
    known: dict[str, float] = json.loads(path.read_text())
    return known


if __name__ == "__main__":
    main()
