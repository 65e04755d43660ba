"""``nas-scale``: one architecture, larger or smaller in width, depth and resolution, without training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nas.commands import cli
from nas.grid import coefficients
from nas.grid.coefficients import PAPER, Coefficients, member_name
from nas.grid.published import describe_published
from nas.grid.text import stages_table
from nas.report import published as published_page
from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.errors import InputError, printable
from search_space.io import named
from search_space.io.amounts import format_amount, parse_amount
from search_space.io.files import write_atomic
from search_space.scaling import EFFICIENTNETS, efficientnet

DESCRIPTION = """\
Scale one network: depth alpha^phi, width beta^phi, resolution gamma^phi (EfficientNet, section 3.3).

  nas-scale best.yaml --phi 3 --coefficients runs/mine/coefficients.yaml -o larger.yaml
  nas-scale best.yaml --phi 3                    the paper's 1.2 / 1.1 / 1.15
  nas-scale best.yaml --phi -1                   smaller, for a small device
  nas-scale best.yaml --target-flops 100M        the phi whose network comes nearest
  nas-scale efficientnet-b0 --published b3       the released network: the authors chose its factors by hand
  nas-scale efficientnet-b0 --published all      the family, beside published networks as accurate;
                                                 with -o published.html as a page with charts as well

Exit codes: 0 done, 2 wrong input.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-scale``."""
    return cli.run(_parser(), _scale, argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-scale", DESCRIPTION)
    parser.add_argument("network", metavar="NETWORK", help="an architecture's YAML file or name")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--phi", type=float, metavar="PHI", help="how far: 0 keeps the network, below 0 it shrinks")
    how.add_argument("--target-flops", metavar="AMOUNT", help="multiply-adds wanted; the nearest phi is found")
    members = ", ".join(EFFICIENTNETS)
    how.add_argument(
        "--published", metavar="NAME", help=f"a released EfficientNet's factors: {members}; all for a table of them"
    )
    parser.add_argument("--coefficients", type=Path, metavar="FILE", help="coefficients.yaml of a nas-grid run")
    for name, what in (("alpha", "depth"), ("beta", "width"), ("gamma", "resolution")):
        value = getattr(PAPER, name)
        parser.add_argument(f"--{name}", type=float, metavar="X", help=f"{what} base, at least 1 (default: {value})")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="write the YAML or page there, else the YAML to stdout"
    )
    return parser


def _scale(args: argparse.Namespace) -> int:
    own = {name: value for name in ("alpha", "beta", "gamma") if (value := getattr(args, name)) is not None}
    _check_flags(args, list(own))
    baseline, metadata = read_document(*named.read_config("architecture", "architectures", args.network))
    name = str(metadata.get("name") or Path(args.network).stem)
    if args.published == "all":
        cli.show(*describe_published(baseline))
        if args.output is not None:
            write_atomic(args.output, published_page.render(baseline))
            cli.say(str(args.output))
        return cli.DONE
    if args.published is not None:
        scaled, how = efficientnet(args.published, baseline), {"published": args.published}
        name = f"{name}-{args.published}"
    else:
        triple = coefficients.read(args.coefficients) if args.coefficients else _triple(own)
        target = None if args.target_flops is None else parse_amount(args.target_flops, "--target-flops")
        phi = args.phi if target is None else triple.phi_at(baseline, target)
        scaled = triple.scale(baseline, phi)
        how = {"alpha": triple.alpha, "beta": triple.beta, "gamma": triple.gamma, "phi": phi}
        name = member_name(name, phi)
    cost = count(scaled)
    metrics = {"macs": cost.macs, "params": cost.params}
    text = scaled.to_yaml(name=name, metrics=metrics, provenance={"baseline": baseline.key, **how})
    if args.output is None:
        cli.say(text.rstrip())
    else:
        write_atomic(args.output, text)
    # The YAML alone goes to stdout, so that it can be redirected into a file.
    console = Console(stderr=args.output is None, soft_wrap=True, highlight=False, markup=False)
    for network in (baseline, scaled):
        console.print(stages_table(network), "")
    console.print(_summary(scaled, baseline, printable(name)))
    if args.output is not None:
        cli.say(str(args.output))
    return cli.DONE


def _check_flags(args: argparse.Namespace, own: list[str]) -> None:
    """Refuse flags that contradict each other, and to overwrite a file."""
    bases = [*own, *(["coefficients"] if args.coefficients else [])]
    if args.published is not None and bases:
        raise InputError(f"--published {args.published}: leaves no room for --{bases[0]}")
    if args.coefficients and own:
        raise InputError(f"--{own[0]}: {args.coefficients} already says it; name one of the two")
    if args.published == "all" and args.output is not None and args.output.suffix != ".html":
        raise InputError(f"-o {args.output}: --published all writes a page, whose name ends in .html")
    if args.output is not None and args.output.exists():
        raise InputError(f"{args.output}: exists already; nothing is overwritten")


def _triple(own: dict[str, float]) -> Coefficients:
    triple = {"alpha": PAPER.alpha, "beta": PAPER.beta, "gamma": PAPER.gamma} | own
    return Coefficients(**triple)


def _summary(scaled: Architecture, baseline: Architecture, name: str) -> str:
    cost, before = count(scaled), count(baseline)
    ratio = cost.macs / before.macs
    macs, params = format_amount(cost.macs), format_amount(cost.params)
    return f"{name}: {macs} MACs ({ratio:.2f} times the baseline's), {params} parameters, {scaled.resolution} pixels"


if __name__ == "__main__":
    raise SystemExit(main())
