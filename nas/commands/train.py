"""``nas-train``: train a network, or the best of a run, in full."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from evaluator.registry import DATASETS
from nas.commands import cli, options
from nas.report import training as training_page
from nas.training.run import at_chance_lines, best_of_run, lacks_of, make_config, metrics_table, train_all
from search_space.architecture import Architecture
from search_space.errors import InputError

DESCRIPTION = """\
Train a network in full on your data; the test images are read once, at the end.

  nas-train runs/mine/best.yaml --data cifar10:DIR -o trained/mine
  nas-train --run runs/mine --top 3 --data folder:photos -o trained/top
  nas-train efficientnet-b0 --data folder:photos --init b0.pth -o trained/b0      fine-tune
  nas-train best.yaml --data folder:photos --init b0.pth --parent efficientnet-b0 -o trained/best
  nas-train efficientnet-b0 --data folder:photos -o trained/b0 --resume     go on where a training was killed
  torchrun --nproc-per-node 4 -m nas.commands.train best.yaml --data ... -o ...      several GPUs

The folder holds network.yaml, network.safetensors, metrics.json, report.html, checkpoint.pt, config.yaml and
TensorBoard curves. The page shows what the network confuses and where it looks, with some of your images in it.
Exit codes: 0 done, 1 the training diverged, 2 wrong input, 130 interrupted (nothing but the current epoch is lost).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-train``."""
    return cli.run(_parser(), _train, argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-train", DESCRIPTION)
    what = parser.add_argument_group("what to train")
    what.add_argument("network", nargs="?", metavar="FILE", help="an architecture's YAML file or name")
    what.add_argument("--run", type=Path, metavar="RUN", help="the best networks of this run directory instead")
    what.add_argument("--top", type=int, metavar="N", help="how many of them (default: 1)")
    what.add_argument("--init", metavar="FILE", help="initial weights to fine-tune: ours, timm's or torchvision's")
    what.add_argument("--parent", metavar="NET", help="network that they are of, of which FILE takes what it can")
    what.add_argument("--bn-eps", type=float, metavar="EPS", help="BatchNorm's eps that they were made with")
    data = parser.add_argument_group("on what")
    data.add_argument("--data", metavar="DATA", help=f"{', '.join(DATASETS)} as name:DIR (default: digits)")
    data.add_argument(
        "--resolution", type=int, metavar="N", help="side of the images (default: its own, or the data's)"
    )
    data.add_argument("--validation-share", type=float, metavar="P", help="training images held out (default: 0.1)")
    options.add_mirror(data)
    how = parser.add_argument_group("how; the recipe's own where not given")
    how.add_argument(
        "--recipe",
        choices=("light", "efficientnet", "finetune"),
        help="minutes on small images, the papers', or gently what --init gives (default: light, with --init finetune)",
    )
    how.add_argument("--freeze", action="store_true", help="with --init: train the classifier alone")
    how.add_argument("--epochs", type=int, metavar="N", help="passes over the training images (light: 30)")
    how.add_argument("--batch-size", type=int, metavar="N", help="images a step, over all devices")
    how.add_argument("--accumulate", type=int, metavar="N", help="parts that a batch is worked through in")
    how.add_argument("--learning-rate", type=float, metavar="LR", help="its peak")
    how.add_argument("--weight-decay", type=float, metavar="WD", help="of convolutions and the classifier")
    how.add_argument("--ema", type=float, metavar="DECAY", help="of the averaged weights, 0 for none")
    how.add_argument("--crop", choices=("shift", "resized"), help="move images a little, or show random parts of them")
    how.add_argument("--rand-augment", type=int, metavar="N", help="random operations an image")
    how.add_argument("--mixup", type=float, metavar="ALPHA", help="blend images in pairs, 0 for not")
    how.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same weights on one device")
    run = parser.add_argument_group("the run")
    run.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where results go (default: trained/<date>-<time>)"
    )
    run.add_argument("--resume", action="store_true", help="go on with the training in -o")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train")
    run.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    run.add_argument("--deterministic", action="store_true", help="GPU: slower kernels that repeat exactly")
    run.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return parser


def _train(args: argparse.Namespace) -> int:
    if args.resume and args.output is None:
        raise InputError("--resume: name the training with -o")
    if args.output is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("-o: name the folder; each of several processes would call it by its own clock")
    output: Path = args.output or Path("trained") / datetime.now().strftime("%Y%m%d-%H%M%S")
    networks = _networks(args)
    config = make_config(args.recipe, vars(args))
    if args.threads is not None:
        _use_threads(args.threads)
    if not args.quiet and (lacks := lacks_of(args.recipe)):
        cli.say(lacks)
    metrics = train_all(
        networks,
        config,
        output,
        args.device,
        resume=args.resume,
        quiet=args.quiet,
        exact=args.deterministic,
        page=training_page.write,
    )
    if metrics:
        cli.show(metrics_table(metrics), *at_chance_lines(metrics))
        cli.say(f"Weights, metrics and networks: {output}")
    return cli.DONE


def _networks(args: argparse.Namespace) -> dict[str, Architecture]:
    """What to train, by the name of its folder; one network needs none."""
    if (args.network is None) == (args.run is None):
        raise InputError("name either FILE or --run RUN")
    if args.network is not None:
        if args.top is not None:
            raise InputError("--top: goes with --run")
        return {"": Architecture.load(args.network)}
    return best_of_run(args.run, args.top or 1)


def _use_threads(count: int) -> None:
    import torch

    if not 1 <= count <= 1024:
        raise InputError(f"--threads: must be 1 to 1024, got {count}")
    torch.set_num_threads(count)


if __name__ == "__main__":  # torchrun -m nas.commands.train
    raise SystemExit(main())
