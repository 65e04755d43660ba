"""``nas-export``: take a network out of here, as YAML, for timm, as a PyTorch file, as ONNX."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.commands import cli
from nas.export.formats import FORMATS, Request, read_network
from search_space.errors import InputError
from search_space.io.amounts import format_amount
from search_space.io.files import write_atomic

DESCRIPTION = """\
Write a network so that it can be built, trained and run without this project.

  nas-export runs/mine/best.yaml --to torch -o out         one Python file that needs only torch
  nas-export --run runs/mine --to onnx -o out --latency    the best network of a run
  nas-export efficientnet-b0 --to timm --weights b0.safetensors

What is written is first compared with the network: the same images must give the same outputs.
Exit codes: 0 done, 1 failed, 2 wrong input.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-export``."""
    return cli.run(_parser(), _export, argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-export", DESCRIPTION)
    parser.add_argument("network", nargs="?", metavar="FILE", help="an architecture's YAML file or name")
    parser.add_argument("--run", type=Path, metavar="RUN", help="the best network of this run directory instead")
    parser.add_argument("--to", required=True, choices=list(FORMATS), help="what to write")
    parser.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="folder to write into")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of the network; else it is untrained")
    parser.add_argument("--bn-eps", type=float, metavar="EPS", help="BatchNorm's eps that the weights were made with")
    parser.add_argument("--latency", action="store_true", help="onnx: also time the network in PyTorch")
    return parser


def _export(args: argparse.Namespace) -> int:
    if (args.network is None) == (args.run is None):
        raise InputError("name either FILE or --run RUN")
    if args.latency and args.to != "onnx":
        raise InputError(f"--latency: goes with --to onnx, not with --to {args.to}")
    if args.weights and args.to == "yaml":
        raise InputError("--weights: a YAML file holds no weights")
    architecture, name = read_network(args.network or str(args.run / "best.yaml"))
    files, lines = FORMATS[args.to](architecture, name, Request(args.weights, args.bn_eps, args.latency))
    write_new({args.output / file: content for file, content in files.items()})
    for line in lines:
        cli.say(line)
    return cli.DONE


def write_new(files: Mapping[Path, str | bytes]) -> None:
    """Write files that are not there yet, and say so; none if one of them is there.

    Raises:
        InputError: One is there, or cannot be written.
    """
    for path in files:
        if path.exists():
            raise InputError(f"{path}: exists already; nothing is overwritten")
    for path, content in files.items():
        write_atomic(path, content)
        cli.say(f"{path}  ({format_amount(path.stat().st_size)} bytes)")


if __name__ == "__main__":
    raise SystemExit(main())
