"""``nas-fit``: from pictures and a checkpoint to a trained network within a budget."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from nas.commands import cli, options, search
from nas.export.formats import FORMATS, Request
from nas.runs.deployment import AROUND
from nas.runs.directory import inside
from nas.runs.header import is_fit, recorded_config
from nas.runs.record import load
from search_space.cost import count
from search_space.errors import InputError
from search_space.io.files import make_folder, write_atomic

DESCRIPTION = """\
From pictures and a checkpoint to a trained network within a budget of multiply-adds.

  nas-fit --data folder:photos --target-flops 200M --init b0.pth --parent efficientnet-b0
  nas-fit --data folder:photos --target-flops 20M --resolution 96 --init trained/mine --time 2h
  nas-fit --run-dir runs/mine --resume                      go on where it was stopped

Networks that begin with the checkpoint's weights are searched; the best are fine-tuned beside the checkpoint's own
network and beside it brought to the budget, on the same seeds. Whichever wins is what you get, the search's or not.
The run directory is that of nas-search; its folder ready holds the winner: weights, YAML, a file that needs only torch.
Exit codes: 0 done, 1 no network succeeded, 2 wrong input, 130 interrupted.
"""
FOUND = 2
"""How many of the networks that the search found are fine-tuned in the end."""
SEARCHED = {"space": AROUND, "objective": "hard", "trust": "0%", "final": FOUND}
BAND = "band=[0.5,1.0]"
"""A budget is a limit: nothing dearer is proposed, and what is cheaper has to be more accurate, not cheaper."""
READY, NAME = "ready", "network"
"""Folder and files of what is taken away."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-fit``."""
    started = time.monotonic()
    return cli.run(_parser(), lambda args: _fit(args, started), argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-fit", DESCRIPTION)
    what = parser.add_argument_group("from what to what")
    what.add_argument("--data", metavar="DATA", help="your pictures: folder:DIR, cifar10:DIR, ... (required)")
    what.add_argument("--target-flops", metavar="AMOUNT", help="most multiply-adds an image: 200M, 3e7 (required)")
    what.add_argument("--init", metavar="CHECKPOINT", help="a trained network: its weights, or its folder (required)")
    what.add_argument("--parent", metavar="NET", help="network that they are of (default: network.yaml beside them)")
    what.add_argument("--resolution", type=int, metavar="N", help="side of the images (default: own; folder: 224)")
    what.add_argument("--time", metavar="TIME", help="end within 20m or 2h: trials and epochs are planned")
    options.add_mirror(what)
    what.add_argument("--device", metavar="NAME", help="auto, cpu or cuda")
    options.add_run(parser)
    options.add_engine(parser)
    return parser


def _fit(args: argparse.Namespace, started: float) -> int:
    if args.resume:
        _check_begun(args)
    else:
        missing = [flag for flag in ("data", "target_flops", "init") if getattr(args, flag) is None]
        if missing:
            raise InputError(f"--{missing[0].replace('_', '-')}: missing; see nas-fit --help")
    args.run_dir, _ = options.locate_run(args, "nas-search")
    asked = search.defaults()
    given = vars(args) | {"inherit": args.init, "trust": SEARCHED["trust"]}  # no run remembers how it is to be trusted
    if not args.resume:
        given |= SEARCHED | {"set": [BAND, *args.set]}
    for name, value in given.items():
        setattr(asked, name, value)
    code = search.search(asked, started, "nas-fit")
    if code == cli.DONE and not args.dry_run:
        _make_ready(args.run_dir)
    return code


def _check_begun(args: argparse.Namespace) -> None:
    """Refuse to go on with a run that has not what makes it this command's.

    Raises:
        InputError: It was begun by another command.
    """
    recorded = recorded_config(args.run_dir, "nas-search") if args.run_dir is not None else None
    if recorded is not None and not is_fit(recorded):
        raise InputError(f"--run-dir {args.run_dir}: was begun by nas-search; go on with that")


def _make_ready(path: Path) -> None:
    """Export the winner with its weights, and say where it is."""
    run = load(path)
    assert run.final is not None
    winner = run.final.finalists[0]
    network = winner.network
    weights = path / "final" / "trained" / network.key / "network.safetensors"
    files: dict[str, str | bytes] = {f"{NAME}.yaml": (path / "best.yaml").read_text(encoding="utf-8")}
    exported, lines = FORMATS["torch"](network, NAME, Request(weights))
    for file, content in {**files, **exported}.items():
        target = inside(path, READY, file)
        make_folder(target.parent)
        write_atomic(target, content)
    cost = count(network)
    cli.say(f"Take {winner.name}, {cost.macs:,} multiply-adds at {network.resolution} pixels: {path / READY}")
    cli.say(f"  {', '.join(sorted({**files, **exported}))}; {lines[0]}")


if __name__ == "__main__":
    raise SystemExit(main())
