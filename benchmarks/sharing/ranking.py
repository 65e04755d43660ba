"""What scores say of networks, against long trainings of the same: short trainings, shared weights, free scores.

    python -m benchmarks.sharing.ranking --data cifar10:DIR --target 3M --networks 24 --workers 2 --out ranking-cifar10
    python -m benchmarks.sharing.ranking ... --shared 60000,120000

Networks are drawn uniformly from a narrow band of MACs and trained from scratch as they are deployed: briefly, by every
recipe of --short, as a search's evaluator would, and long. A recipe is EPOCHSxIMAGES, with @RATE for another learning
rate. Short and long trainings are scored on different held-out images. Kendall's tau has a 95 % interval over
networks, and so have the differences from the best free score. Everything is kept in --out, and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluator.data.dataset import Dataset, load_dataset
from evaluator.data.statistics import channel_statistics
from evaluator.recipe import Recipe
from evaluator.shared.evaluator import Shared, SharedConfig
from evaluator.shared.network import SharedNetwork
from evaluator.shared.scoring import SharedScorer, hold_out
from evaluator.shared.training import BATCH_SIZE, Progress, SharedTraining
from evaluator.training import SCORE_BATCH, Trainer, fit
from evaluator.training_free import GradientNorm, TrainingFreeConfig
from nas.statistics import Score, rank_advantage, rank_correlation
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.fitting import Deployment
from search_space.fitting import fit as fit_space
from search_space.io.amounts import parse_amount
from search_space.io.files import make_folder, write_atomic
from search_space.seeding import derive_seed
from search_space.space import SearchSpace
from search_space.uniform import UniformNetworks

BAND = (0.8, 1.2)
"""MACs of the networks that are compared, as multiples of the target."""
SEARCHED = (0.5, 1.5)
"""MACs of the networks that share a training: what a search may propose."""
JUDGED = 5000
"""Held-out images that long trainings are scored on; no short training sees them."""
HELD_OUT = 1 / 3
"""Held-out images of a short training, as a share of those that it trains on: a search's own."""


@dataclass(frozen=True, slots=True)
class Length:
    """How a network is trained."""

    name: str
    epochs: int
    images: int
    rate: float

    @classmethod
    def parse(cls, text: str) -> Length:
        """From EPOCHSxIMAGES or EPOCHSxIMAGES@RATE."""
        size, _, rate = text.partition("@")
        epochs, _, images = size.partition("x")
        return cls(text, int(epochs), int(images), float(rate) if rate else Recipe().learning_rate)


def main() -> None:
    """Train, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--target", default="3M")
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--short", default="3x4000", help="comma-separated")
    parser.add_argument("--long", default="8x12000", help="what all else is compared with")
    parser.add_argument("--long-seeds", type=int, default=1, help="long trainings of each network, which are averaged")
    parser.add_argument("--judged", type=int, default=JUDGED, help="held-out images that long trainings are scored on")
    parser.add_argument("--shared", default="", help="images after which shared weights are scored, comma-separated")
    parser.add_argument("--shared-seeds", type=int, default=1, help="shared trainings, whose taus are averaged")
    parser.add_argument("--width", type=float, help="of the shared network (default: what a search takes)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    make_folder(args.out)
    torch.set_num_threads(1)
    dataset = load_dataset(args.data)
    side, target = dataset.train.images.shape[-1], parse_amount(args.target)
    size = Deployment(resolution=side, classes=len(dataset.classes), target_macs=target)
    space = fit_space(SearchSpace.load(args.space), size)
    networks = sample(space, target, args.networks, args.seed)
    scores, seconds = _free(networks, side)
    free = list(scores)
    if args.shared:
        _shared(args, space, dataset, networks, scores, seconds)
    long = Length.parse(args.long)
    for length in [*map(Length.parse, args.short.split(",")), long]:
        judges, repeats, name = (args.judged, args.long_seeds, "truth") if length == long else (0, 1, length.name)
        runs = [_separate(args, networks, length, judges, repeat) for repeat in range(repeats)]
        loss, accuracy, spent = (
            np.array([[row[what] for row in run] for run in runs]) for what in ("loss", "accuracy", "seconds")
        )
        seconds[name] = float(spent.sum())
        scores[f"{name}: loss"], scores[f"{name}: accuracy"] = (-loss.mean(0)).tolist(), accuracy.mean(0).tolist()
        if repeats > 1:
            print(f"accuracies of two long trainings, tau: {rank_correlation(accuracy[0], accuracy[1], args.seed)}")
    truth, losses = (np.asarray(scores.pop(f"truth: {what}"), float).tolist() for what in ("accuracy", "loss"))
    _print(args, scores, truth, losses, seconds, free)


def sample(space: SearchSpace, target: int, number: int, seed: int) -> list[Architecture]:
    """Distinct networks of the band."""
    low, high = (int(factor * target) for factor in BAND)
    uniform, generator = UniformNetworks(space, (low, high)), np.random.default_rng(derive_seed(seed, "compared"))
    found: dict[str, Architecture] = {}
    while len(found) < number:
        network = uniform.draw(generator)
        found.setdefault(network.key, network)
    return list(found.values())


def _free(networks: list[Architecture], side: int) -> tuple[dict[str, Score], dict[str, float]]:
    """Scores that need no training, and the CPU seconds that they take."""
    start, gradients = time.process_time(), GradientNorm(TrainingFreeConfig(resolution=side))
    scores: dict[str, Score] = {
        "MACs": [float(count(network).macs) for network in networks],
        "parameters": [float(count(network).params) for network in networks],
        "depth": [float(sum(stage.layers for stage in network.stages)) for network in networks],
        "gradient L1 norm": [gradients.log_score(network) for network in networks],
    }
    return scores, {"gradient L1 norm": time.process_time() - start}


def _shared(
    args: argparse.Namespace,
    space: SearchSpace,
    dataset: Dataset,
    networks: list[Architecture],
    scores: dict[str, Score],
    seconds: dict[str, float],
) -> None:
    """Add minus the loss of each network after so many images of one training for all, once a seed, and the mean of the
    CPU seconds."""
    repeats = [_trained(args, space, dataset, networks, args.seed + repeat) for repeat in range(args.shared_seeds)]
    for name in repeats[0]:
        rows = [repeat[name] for repeat in repeats]
        scores[f"{name}: loss"] = [[-loss for loss in row["losses"]] for row in rows]
        seconds[name] = float(np.mean([row["seconds"] for row in rows]))


def _trained(
    args: argparse.Namespace, space: SearchSpace, dataset: Dataset, networks: list[Architecture], seed: int
) -> dict[str, Any]:
    """Losses and CPU seconds of one shared training, by its length; what is known is not trained."""
    data, target = dataset.train, parse_amount(args.target)
    side = data.images.shape[-1]
    width = args.width or Shared.deployed_as(SharedConfig(), side, target).width
    shared = SharedNetwork(space, width=width, unstrided=0, resolution=side, classes=len(dataset.classes))
    train, scored = hold_out(data.labels, seed)
    low, high = (int(factor * target) for factor in SEARCHED)
    training = SharedTraining(shared, data, train, mirror=dataset.mirror, seed=seed, macs=(low, high))
    print(f"{shared.size:,} shared weights at width {width}; space {space.name} at {args.target} MACs", flush=True)
    known, kept = args.out / f"shared-{seed}.json", args.out / f"shared-{seed}.pt"
    found: dict[str, Any] = json.loads(known.read_text()) if known.exists() else {}
    if found and kept.exists():
        training.load(kept)
    for images in map(int, args.shared.split(",")):
        name = f"shared, {images:,} images"
        if name not in found:
            start = time.process_time()
            training.run(kept, steps=images // BATCH_SIZE, report=report)
            spent = time.process_time() - start + max((row["seconds"] for row in found.values()), default=0.0)
            start = time.process_time()
            losses = SharedScorer(shared, training.trained, data, scored).losses(networks)
            found[name] = {"seconds": spent, "losses": losses, "scoring": time.process_time() - start}
            write_atomic(known, json.dumps(found))
            print(f"{name}: {spent:.0f} s, scoring {found[name]['scoring'] / len(networks):.3f} s each", flush=True)
    return found


def _separate(
    args: argparse.Namespace, networks: list[Architecture], length: Length, judges: int, repeat: int
) -> list[dict[str, float]]:
    """Each network trained from scratch: held-out loss and accuracy, CPU seconds; what is known is not trained."""
    one = partial(train, args.data, args.out, args.seed, length, judges, repeat=repeat)
    if args.workers == 1:
        return list(map(one, networks))
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(one, networks))


def train(
    data: str, out: Path, seed: int, length: Length, judges: int, network: Architecture, repeat: int = 0
) -> dict[str, float]:
    """Held-out loss and accuracy of a network trained from scratch, and the CPU seconds; kept in `out`."""
    kept = f"{network.key}-{length.name}{f'-judged-{judges}' if judges else ''}{f'-repeat-{repeat}' if repeat else ''}"
    path = out / f"{kept}.json"
    if not path.exists():
        torch.set_num_threads(1)
        dataset = load_dataset(data)
        train, held = parts(len(dataset.train), length, judges, seed)
        # As in a search each training has a seed of its own. With one for all, networks whose first layers are alike
        # would begin with the same weights there, and the luck of these would pass for an effect of the choices.
        start, own = time.process_time(), derive_seed(seed, "training", kept)
        model = build_model(network, generator=torch.Generator().manual_seed(derive_seed(own, "weights")))
        recipe = Recipe(epochs=length.epochs, learning_rate=length.rate)
        few = held[:SCORE_BATCH]  # after each epoch; all are scored in the end
        found = fit(model, dataset.train, train, few, recipe, mirror=dataset.mirror, seed=own)
        assert found.accuracy is not None, found.reason
        trainer = Trainer(model, channel_statistics(dataset.train.images), recipe, dataset.mirror)
        score = trainer.score(dataset.train, held)
        row = {"loss": score.loss, "accuracy": score.accuracy, "seconds": time.process_time() - start}
        write_atomic(path, json.dumps(row))
        print(f"{path.stem}: {row}", flush=True)
    known: dict[str, float] = json.loads(path.read_text())
    return known


def parts(images: int, length: Length, judges: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices to train on and to score on: `judges` that no separate training sees, or a short one's own."""
    order = torch.randperm(images, generator=torch.Generator().manual_seed(derive_seed(seed, "separate")))
    first = min(JUDGED, images // 4)
    rest = order[first:]
    if judges:
        assert judges <= images - 2 * length.images, "too few images are left to judge with"
        return rest[: length.images], torch.cat([order[:first], rest.flip(0)])[:judges]
    return rest[: length.images], rest[length.images :][: int(HELD_OUT * length.images)]


def _print(
    args: argparse.Namespace,
    scores: dict[str, Score],
    truth: list[float],
    losses: list[float],
    seconds: dict[str, float],
    free: list[str],
) -> None:
    taus = {name: rank_correlation(values, truth, args.seed) for name, values in scores.items()}
    best = max(free, key=lambda name: taus[name].tau)
    print(f"\n{args.networks} networks of {BAND[0]:g} to {BAND[1]:g} times {args.target} MACs on {args.data}")
    print(
        f"trained for {args.long}: accuracies of {np.mean(truth):.3f} with a standard deviation of {np.std(truth):.4f}"
    )
    print(f"{'':<30}{'tau with these':>22}{'with their losses':>22}{'more than ' + best:>26}{'CPU s':>8}")
    for name, values in scores.items():
        more = "" if name == best else rank_advantage(values, scores[best], truth, args.seed)
        spent = seconds.get(name.partition(":")[0], 0.0)
        other = rank_correlation(values, losses, args.seed)
        print(f"{name:<30}{taus[name]!s:>22}{other!s:>22}{more!s:>26}{spent:>8.0f}")
    print(f"the long trainings took {seconds['truth']:.0f} CPU seconds")
    for name in (name for name in scores if name.startswith("shared")):
        print(f"{name}, what its tau has over that of")
        for short in (short for short in scores if "x" in short.partition(":")[0]):
            more, other = (rank_advantage(scores[name], scores[short], known, args.seed) for known in (truth, losses))
            print(f"  {short:<28}{more!s:>22}{other!s:>22}")


def report(progress: Progress) -> None:
    """Say how far a shared training is."""
    print(f"step {progress.steps}: loss {progress.loss:.3f}, {progress.images_per_sec:.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
