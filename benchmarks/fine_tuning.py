"""What a parent is worth: its weights fine-tuned, frozen and not used; in a search; at half its multiply-adds.

    OMP_NUM_THREADS=1 python -m benchmarks.fine_tuning [--data cifar10:DIR] [--network NET] -o trained/fine-tuning

A network, a small one if none is named, is trained on the first five of ten classes; what follows is measured on the
last five.

- transfer: fine-tuned, with a frozen backbone and from scratch, at equal steps on the same images; a seed decides the
  images, the new classifier and the order.
- candidates: random networks around the parent at half its multiply-adds, scored by short trainings that begin with its
  weights and from scratch: how well does each rank as long fine-tuning does? And what are those weights worth to them?
- half: nas-fit at half the parent's multiply-adds; its table sets what was found beside the parent at a smaller width.

Every result is a line of rows.jsonl as soon as it is there, and a training is continued from its last epoch: what was
cut off goes on with the same command.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from evaluator.data.dataset import Dataset, Images, load_dataset
from evaluator.full_recipe import RECIPES, FullRecipe
from evaluator.proxy import Proxy
from evaluator.proxy_config import ProxyConfig
from nas.commands import fit as nas_fit
from nas.statistics import mean_of, paired_difference, rank_advantage, rank_correlation
from nas.training.folder import TrainConfig, TrainFolder
from nas.training.loop import Placement, fitted, train
from search_space.architecture import Architecture, Stage
from search_space.cost import count
from search_space.fitting import Deployment, fit
from search_space.io.files import write_atomic
from search_space.space import SearchSpace

TEST_IMAGES = 400
SMALL = Architecture(
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
Row = dict[str, Any]


class Rows:
    """Results by what they are of, in a file that is whole at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._known: dict[str, Row] = {_key(row := json.loads(line)): row for line in lines}

    def get(self, measure: Callable[[], Row], **what: Any) -> Row:
        """What was measured of this, now or before."""
        if _key(what) not in self._known:
            row = what | measure()
            self._known[_key(what)] = row
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._path, "".join(json.dumps(row) + "\n" for row in self._known.values()))
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        return self._known[_key(what)]


def _key(row: Row) -> str:
    return json.dumps({name: row[name] for name in ("table", "images", "seed", "way", "epochs") if name in row})


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


def accuracy(path: Path, dataset: Dataset, network: Architecture, config: TrainConfig) -> float:
    """Train, or take what was trained; the accuracy on the test images."""
    folder = TrainFolder(path)
    folder.begin(config, fitted(network, dataset), resume=True)
    metrics = train(folder, config, dataset, Placement(torch.device("cpu"), quiet=True))
    return float(metrics["test_accuracy"])


class Bench:
    """The images, the parent and the folder of one benchmark."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.output: Path = args.output
        self.rows = Rows(args.output / "rows.jsonl")
        self.whole = load_dataset(args.data)
        assert self.whole.load_test is not None
        self.test = self.whole.load_test()
        self.parent: Path = args.output / "parent"
        learned = TrainConfig(recipe=dataclasses.replace(RECIPES["light"], epochs=args.parent_epochs))
        dataset = five_classes(self.whole, self.test, 0, args.parent_images, 0)
        network = Architecture.load(args.network) if args.network else SMALL
        found = self.rows.get(
            lambda: {"accuracy": accuracy(self.parent, dataset, network, learned)}, table="parent", way="parent"
        )
        print(f"parent, on its own classes: {found['accuracy']:.1%}", flush=True)
        self.weights, self.yaml = str(self.parent / "network.safetensors"), str(self.parent / "network.yaml")
        self.network = Architecture.load(self.yaml)

    def tune(self, name: str, images: int, seed: int, recipe: FullRecipe, network: Architecture | None = None) -> float:
        """Accuracy of a training on so many images a class, from the parent's weights unless the recipe has one rate.

        Args:
            name: Of its folder.
            images: Of each class.
            seed: Decides the images as well.
            recipe: How.
            network: Another than the parent's, which takes what it can.
        """
        dataset = five_classes(self.whole, self.test, 5, images, seed)
        init = self.weights if recipe.backbone_rate != 1 else None
        parent = self.yaml if network is not None and init else None
        config = TrainConfig(recipe=recipe, seed=seed, init=init, parent=parent)
        return accuracy(self.output / name, dataset, network or self.network, config)

    def transfer(self) -> None:
        """Fine-tuned, frozen, from scratch."""
        gentle = dataclasses.replace(RECIPES["finetune"], epochs=self.args.epochs)
        ways = {
            "fine-tuned": gentle,
            "frozen backbone": dataclasses.replace(gentle, backbone_rate=0.0),
            "from scratch": dataclasses.replace(RECIPES["light"], epochs=gentle.epochs, batch_size=gentle.batch_size),
        }
        for images in self.args.images:
            scores: dict[str, list[float]] = {way: [] for way in ways}
            for seed in range(self.args.first_seed, self.args.first_seed + self.args.seeds):
                for way, recipe in ways.items():
                    name = f"{images}-{seed}-{way.replace(' ', '-')}"
                    what = {"table": "transfer", "images": images, "seed": seed, "way": way, "epochs": gentle.epochs}
                    measure = lambda n=name, i=images, s=seed, r=recipe: {"accuracy": self.tune(n, i, s, r)}  # noqa: E731
                    scores[way].append(self.rows.get(measure, **what)["accuracy"])
            print(f"\n| {images} images a class | test accuracy | against from scratch, 95 % interval |\n|---|---|---|")
            for way, values in scores.items():
                difference = paired_difference(values, scores["from scratch"], len(ways) - 1)
                interval = f"{difference.mean:+.1%} [{difference.low:+.1%}, {difference.high:+.1%}]"
                print(f"| {way} | {mean_of(values).mean:.1%} | {'' if way == 'from scratch' else interval} |")

    def folder(self, images: int) -> str:
        """So many images of each of the last five classes as a folder of pictures."""
        folder = self.output / f"pictures-{images}"
        dataset = five_classes(self.whole, self.test, 5, images, 0)
        for number, label in enumerate(dataset.train.labels.tolist()):
            path = folder / dataset.classes[label] / f"{number}.png"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = dataset.train.images[number].permute(1, 2, 0).numpy()
                Image.fromarray(np.ascontiguousarray(pixels)).save(path)
        return f"folder:{folder}"

    def proxies(self, images: int, side: int) -> dict[str, Proxy]:
        """The short trainings that are compared."""
        scratch = ProxyConfig(
            data=self.folder(images),
            resolution=side,
            width=1.0,
            unstrided=0,
            epochs=self.args.short_epochs,
            mirror=self.whole.mirror,
            timeout=24 * 3600.0,
        )
        inherited = dataclasses.replace(scratch, inherit=self.weights, parent=self.yaml)
        return {"inherited": Proxy(inherited), "from scratch": Proxy(scratch)}

    def candidates(self) -> None:
        """Short trainings with and without the parent's weights, against long fine-tuning."""
        images, side = self.args.images[-1], self.whole.train.images.shape[-1]
        own = dataclasses.replace(self.network, resolution=side)
        size = Deployment(resolution=side, classes=5, target_macs=count(own).macs // 2)
        space = fit(SearchSpace.around(self.network, SearchSpace.load("checkpoint").document), size)
        generator = np.random.default_rng(0)
        target = size.target_macs or 0
        networks = [space.sample(generator, (target // 2, target)) for _ in range(self.args.networks)]
        gentle = dataclasses.replace(RECIPES["finetune"], epochs=self.args.long_epochs)
        fresh = dataclasses.replace(RECIPES["light"], epochs=gentle.epochs, batch_size=gentle.batch_size)
        proxies = self.proxies(images, side)
        scores: dict[str, list[float]] = {"MACs": [float(count(n).macs) for n in networks]}
        scores["parameters"] = [float(count(n).params) for n in networks]
        long: dict[str, list[float]] = {"long fine-tuning": [], "long from scratch": []}
        for number, network in enumerate(networks):
            what = {"table": "candidates", "images": images, "seed": number}
            for way, proxy in proxies.items():
                row = self.rows.get(
                    lambda p=proxy, n=network: _score(p, n), **what, way=way, epochs=self.args.short_epochs
                )
                scores.setdefault(f"{way}, accuracy", []).append(row["accuracy"])
                scores.setdefault(f"{way}, loss", []).append(-row["loss"])
            for (way, accuracies), recipe in zip(long.items(), (gentle, fresh), strict=True):
                name = f"{way.replace(' ', '-')}-{images}-{network.key}"
                measure = lambda n=name, r=recipe, a=network: {"accuracy": self.tune(n, images, 0, r, a)}  # noqa: E731
                accuracies.append(self.rows.get(measure, **what, way=way, epochs=recipe.epochs)["accuracy"])
        truth = long["long fine-tuning"]
        print(f"\n| {len(networks)} networks | Kendall tau with long fine-tuning, 95 % interval |\n|---|---|")
        for way, values in scores.items():
            print(f"| {way} | {rank_correlation(values, truth, 0)} |")
        for kind in ("accuracy", "loss"):
            ahead = rank_advantage(scores[f"inherited, {kind}"], scores[f"from scratch, {kind}"], truth, 0)
            print(f"| inherited over from scratch, {kind} | {ahead} |")
        for way, accuracies in long.items():
            print(f"{way}: {mean_of(accuracies).mean:.1%}")
        gain = paired_difference(truth, long["long from scratch"], 1)
        print(f"the parent's weights after long training: {gain.mean:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]")

    def half(self) -> None:
        """What nas-fit finds at half the parent's multiply-adds."""
        side = self.whole.train.images.shape[-1]
        run = self.output / "half"
        budget = str(count(dataclasses.replace(self.network, resolution=side)).macs // 2)
        flags = ["--data", self.folder(self.args.images[-1]), "--resolution", str(side), "--target-flops", budget]
        flags += ["--init", str(self.parent), *([] if self.whole.mirror else ["--no-mirror"])]
        flags += ["--set", f"trials={self.args.trials}", "--set", f"evaluator.epochs={self.args.short_epochs}"]
        flags += ["--set", f"final_seeds={self.args.seeds}"]
        begun = (run / "journal.jsonl").exists()
        more = ["--run-dir", str(run), "--workers", str(self.args.workers)]
        code = nas_fit.main([*more, *(["--resume"] if begun else flags)])
        if code:
            raise SystemExit(code)


def _score(proxy: Proxy, network: Architecture) -> Row:
    found = proxy.evaluate(network, seed=0)
    assert found.status == "ok", found.reason
    return {"accuracy": found.accuracy, "loss": found.losses[-1]}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = ("transfer", "candidates", "half")
    parser.add_argument("--table", choices=tables, action="append", help="one of them, or several (default: all)")
    parser.add_argument("--data", default="digits", help="of ten classes")
    parser.add_argument("--network", help="YAML file or name of the parent (default: a small one)")
    parser.add_argument("--parent-images", type=int, default=2000, help="of each class, at most")
    parser.add_argument("--parent-epochs", type=int, default=20)
    parser.add_argument("--images", type=int, nargs="+", default=[50, 200, 1000], help="of each class; last: searched")
    parser.add_argument("--epochs", type=int, default=20, help="of the transfer")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--networks", type=int, default=24, help="candidates")
    parser.add_argument("--short-epochs", type=int, default=5, help="of candidates")
    parser.add_argument("--long-epochs", type=int, default=40, help="of candidates' long fine-tuning")
    parser.add_argument("--trials", type=int, default=32, help="of nas-fit")
    parser.add_argument("--workers", type=int, default=1, help="of nas-fit")
    parser.add_argument("-o", "--output", type=Path, default=Path("trained/fine-tuning"))
    args = parser.parse_args()
    bench = Bench(args)
    for table in args.table or tables:
        getattr(bench, table)()


if __name__ == "__main__":
    main()
