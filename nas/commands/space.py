"""The command nas-space: what a search space holds, whether it contains a network, samples of it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.commands import cli
from nas.export.timm_import import NAMES, import_network
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.fitting import Deployment, fit, width_of
from search_space.io.amounts import format_amount, parse_amount, parse_band
from search_space.io.files import write_atomic
from search_space.io.named import config_names
from search_space.seeding import derive_seed
from search_space.space import SearchSpace
from search_space.timm_strings import ACTIVATIONS

BINS = 12
DEFAULT = "efficientnet"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.run(_parser(), _run, argv)


def _run(args: argparse.Namespace) -> int:
    code: int = args.action(args)
    return code


def _parser() -> argparse.ArgumentParser:
    known = ", ".join(config_names("spaces"))
    parser = cli.Parser("nas-space", f"Look into a search space: {known}, or a YAML file (docs/spaces.md).")
    commands = parser.add_subparsers(required=True, metavar="show | check | sample | import")
    show = _command(commands, "show", _show, "what it holds, how many networks, how their FLOPs are distributed")
    _add_space(show, optional=True)
    _add_seed(show)
    check = _command(commands, "check", _check, "whether it contains a network: exit code 0, or 1 and what is missing")
    _add_space(check)
    check.add_argument("network", metavar="NETWORK", help="an architecture's YAML file or name")
    sample = _command(commands, "sample", _sample, "random networks as YAML")
    _add_space(sample, optional=True)
    sample.add_argument("--macs", metavar="LOW-HIGH", help="only networks in this band, e.g. 380M-450M")
    sample.add_argument("-n", "--number", type=int, default=1, metavar="N", help="how many")
    sample.add_argument("-o", "--output", metavar="DIR", help="write one file each into this folder, else to stdout")
    _add_seed(sample)
    text = "a network of timm, by name or block strings, as YAML"
    imported = commands.add_parser("import", help=text, description=f"import: {text}.")
    imported.set_defaults(action=_import)
    _add_import(imported)
    return parser


def _command(
    commands: argparse._SubParsersAction[cli.Parser],
    name: str,
    action: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{name}: {text}.")
    command.set_defaults(action=action)
    return command


def _add_space(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    known: dict[str, Any] = {"nargs": "?", "default": DEFAULT} if optional else {}
    command.add_argument("space", metavar="SPACE", help="a space's name or YAML file", **known)
    size = command.add_argument_group("what networks are for; the space is fitted to it, as nas-search does")
    size.add_argument("--resolution", type=int, metavar="N", help="side of the images, pixels (default: the space's)")
    size.add_argument("--classes", type=int, metavar="N", help="classes to tell apart (default: the space's)")
    size.add_argument("--target-flops", metavar="AMOUNT", help="multiply-adds an image (default: the space's width)")


def _space(args: argparse.Namespace) -> SearchSpace:
    """The space of the flags, at the size that they say."""
    space = SearchSpace.load(args.space)
    target = None if args.target_flops is None else parse_amount(args.target_flops, "--target-flops")
    said = Deployment(resolution=args.resolution, classes=args.classes, target_macs=target)
    return space if said == Deployment() else fit(space, said)


def _add_seed(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the random networks")


def _show(args: argparse.Namespace) -> int:
    space = _space(args)
    reference = space.reference
    low, high = space.macs_range()
    networks = space.networks()
    cli.say(f"{space.name}: {space.description}".removesuffix(": "))
    cli.say(f"  images      {reference.resolution} pixels, {reference.classes} classes")
    width = width_of(reference, SearchSpace.load(args.space).reference)
    cost = format_amount(count(reference).macs)
    cli.say(f"  reference   {cost} multiply-adds" + (f", its channels times {width:.3g}" if width != 1 else ""))
    cli.say(f"  decisions   {len(space.decisions)}")
    cli.say(f"  proposals   {space.size:,} ({space.size:.2e})")
    if networks is not None:
        cli.say(f"  networks    {networks:,} ({networks:.2e}), each counted once")
    cli.say(f"  FLOPs       {format_amount(low)} to {format_amount(high)} (multiply-adds, {low:,} to {high:,})")
    cli.say("\nChoices, where there is more than one (first what the whole network decides):")
    for decision in space.decisions:
        sometimes = "  (under a condition)" if decision.requires else ""
        cli.say(f"  {decision.name:<16}{', '.join(decision.choices)}{sometimes}")
    macs = space.sample_macs(np.random.default_rng(derive_seed(args.seed, "show")))
    cli.say(f"\nFLOPs of {len(macs):,} random networks:")
    for line in _histogram(macs):
        cli.say(line)
    return cli.DONE


def _histogram(macs: Sequence[int]) -> list[str]:
    """One line a bin: its bounds, the share of networks inside, the share up to its end."""
    counts, edges = np.histogram(np.array(macs), bins=BINS)
    shares, below = counts / len(macs), np.cumsum(counts) / len(macs)
    return [
        f"  {format_amount(round(edges[i])):>7} - {format_amount(round(edges[i + 1])):>7} {shares[i]:6.1%} "
        f"{below[i]:7.1%}  {'#' * round(40 * float(shares[i] / shares.max()))}".rstrip()
        for i in range(BINS)
    ]


def _check(args: argparse.Namespace) -> int:
    space = _space(args)
    missing = space.missing(Architecture.load(args.network))
    if not missing:
        cli.say(f"{space.name} contains {args.network}")
        return cli.DONE
    cli.say(f"{space.name} does not contain {args.network}:")
    for line in missing:
        cli.say(f"  {line}")
    return cli.FAILED


def _sample(args: argparse.Namespace) -> int:
    space = _space(args)
    band = parse_band(args.macs, "--macs") if args.macs else None
    if not 1 <= args.number <= 100_000:
        raise InputError(f"-n: must be from 1 to 100000, got {args.number}")
    names = [f"{space.name}-{args.seed}-{i}" for i in range(args.number)]
    files = [Path(args.output, f"{name}.yaml") for name in names] if args.output else []
    for file in files:
        if file.exists():
            raise InputError(f"{file}: exists already; nothing is overwritten")
    for i, name in enumerate(names):
        text = _sample_yaml(space, band, args.seed, i, name)
        if files:
            write_atomic(files[i], text)
            cli.say(str(files[i]))
        else:
            cli.say(("---\n" if i else "") + text.rstrip())
    return cli.DONE


def _sample_yaml(space: SearchSpace, band: tuple[int, int] | None, seed: int, index: int, name: str) -> str:
    architecture = space.sample(np.random.default_rng(derive_seed(seed, "sample", index)), band)
    cost = count(architecture)
    return architecture.to_yaml(
        name=name,
        metrics={"macs": cost.macs, "params": cost.params},
        provenance={"space": space.name, "seed": seed, "sample": index},
    )


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", nargs="+", metavar="NETWORK", help=f"{', '.join(NAMES)}; block strings; a file")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write here, else to stdout")
    parser.add_argument("--name", metavar="NAME", help="what to call it")
    parser.add_argument("--stem", type=int, metavar="N", help="timm's stem_size (default: 32)")
    parser.add_argument("--head", type=int, metavar="N", help="timm's num_features (default: 1280)")
    parser.add_argument("--activation", choices=list(ACTIVATIONS), help="timm's act_layer (default: relu)")
    parser.add_argument("--dropout", type=float, metavar="P", help="timm's drop_rate (default: 0.2)")
    parser.add_argument("--resolution", type=int, metavar="N", help="side of the input, pixels (default: 224)")
    parser.add_argument("--classes", type=int, metavar="N", help="outputs (default: 1000)")


def _import(args: argparse.Namespace) -> int:
    if args.output and args.output.exists():
        raise InputError(f"{args.output}: exists already; nothing is overwritten")
    given = {field.name: getattr(args, field.name, None) for field in dataclasses.fields(Architecture)}
    given = {name: value for name, value in given.items() if value is not None}
    architecture, name = import_network(args.network, given)
    cost = count(architecture)
    text = architecture.to_yaml(name=args.name or name, metrics={"macs": cost.macs, "params": cost.params})
    if args.output:
        write_atomic(args.output, text)
    cli.say(str(args.output) if args.output else text.rstrip())
    return cli.DONE


if __name__ == "__main__":
    raise SystemExit(main())
