"""What a parent is worth: fine-tuned, with a frozen backbone, and from scratch, on few images of other classes.

    OMP_NUM_THREADS=1 python -m benchmarks.fine_tuning [--data cifar10:DIR] --images 50 --seeds 5 -o trained/fine-tuning

A small network is trained on the first five of ten classes, up to 2,000 images each, then brought to the last five.
All three ways take the same steps on the same images; a seed decides the images, the new classifier and the order.
What was trained is kept in the folder, and a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from evaluator.data.dataset import Dataset, Images, load_dataset
from evaluator.recipe import RECIPES, FullRecipe
from nas.statistics import mean_of, paired_difference
from nas.training.folder import TrainConfig, TrainFolder
from nas.training.loop import Placement, fitted, train
from search_space.architecture import Architecture, Stage

PARENT_IMAGES, TEST_IMAGES = 2000, 400
NETWORK = Architecture(
    resolution=32,
    classes=5,
    stem=16,
    stem_stride=1,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, stride=2, channels=16, se=0.25),
        Stage(op="mbconv", expand=4, kernel=3, channels=24, layers=2, se=0.25),
        Stage(op="mbconv", expand=4, kernel=5, stride=2, channels=40, layers=2, se=0.25),
        Stage(op="mbconv", expand=4, kernel=3, stride=2, channels=80, layers=2, se=0.25),
    ),
    head=320,
    dropout=0.1,
)


def part(images: Images, first: int, count: int, seed: int) -> Images:
    """`count` images, drawn by the seed, of each of the five classes from `first`, which become 0 to 4."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in range(first, first + 5):
        index = (images.labels == label).nonzero().flatten()
        chosen.append(index[torch.randperm(len(index), generator=generator)[:count]])
    some = images[torch.cat(chosen)]
    return Images(some.images, some.labels - first)


def five_classes(whole: Dataset, test: Images, first: int, count: int, seed: int) -> Dataset:
    """Five of the classes as a data set of their own; the test images are the same for all seeds."""
    return dataclasses.replace(
        whole,
        classes=whole.classes[first : first + 5],
        train=part(whole.train, first, count, seed),
        load_test=lambda: part(test, first, TEST_IMAGES, 0),
    )


def accuracy(path: Path, dataset: Dataset, recipe: FullRecipe, seed: int, init: str | None = None) -> float:
    """Train, or take what was trained; the accuracy on the test images."""
    folder = TrainFolder(path)
    config = TrainConfig(recipe=recipe, seed=seed, init=init)
    folder.begin(config, fitted(NETWORK, dataset), resume=True)
    metrics = train(folder, config, dataset, Placement(torch.device("cpu"), quiet=True))
    return float(metrics["test_accuracy"])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="of ten classes")
    parser.add_argument("--parent-epochs", type=int, default=20)
    parser.add_argument("--images", type=int, default=50, help="of each class")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("trained/fine-tuning"))
    args = parser.parse_args()
    whole = load_dataset(args.data)
    assert whole.load_test is not None
    test = whole.load_test()
    parent = args.output / "parent"
    learned = dataclasses.replace(RECIPES["light"], epochs=args.parent_epochs)
    dataset = five_classes(whole, test, 0, PARENT_IMAGES, 0)
    print(f"parent, on its own classes: {accuracy(parent, dataset, learned, 0):.1%}", flush=True)
    gentle = RECIPES["finetune"]
    ways = {
        "fine-tuned": gentle,
        "frozen backbone": dataclasses.replace(gentle, backbone_rate=0.0),
        "from scratch": dataclasses.replace(RECIPES["light"], epochs=gentle.epochs, batch_size=gentle.batch_size),
    }
    scores: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        dataset = five_classes(whole, test, 5, args.images, seed)
        for way, recipe in ways.items():
            init = None if way == "from scratch" else str(parent / "network.safetensors")
            path = args.output / f"{args.images}-{seed}-{way.replace(' ', '-')}"
            scores[way].append(accuracy(path, dataset, recipe, seed, init))
            print(f"{args.images} images, seed {seed}, {way}: {scores[way][-1]:.1%}", flush=True)
    print(f"| {args.images} images a class | test accuracy | against from scratch, 95 % interval |\n|---|---|---|")
    for way, values in scores.items():
        difference = paired_difference(values, scores["from scratch"], len(ways) - 1)
        against = (
            "" if way == "from scratch" else f"{difference.mean:+.1%} [{difference.low:+.1%}, {difference.high:+.1%}]"
        )
        print(f"| {way} | {mean_of(values).mean:.1%} | {against} |")


if __name__ == "__main__":
    main()
