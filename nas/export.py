"""``nas-export``: take a network out of here, as YAML, for timm, as a PyTorch file, as ONNX."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas import cli
from nas.amounts import format_amount
from nas.files import write_atomic
from search_space import named
from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.errors import InputError

if TYPE_CHECKING:
    from search_space.builder import Network

DESCRIPTION = """\
Write a network so that it can be built, trained and run without this project.

  nas-export runs/mine/best.yaml --to torch -o out         one Python file that needs only torch
  nas-export --run runs/mine --to onnx -o out --latency    the best network of a run
  nas-export efficientnet-b0 --to timm --weights b0.safetensors

What is written is first compared with the network: the same images must give the same outputs.
Exit codes: 0 done, 1 failed, 2 wrong input.
"""
_Exported = tuple[dict[str, str | bytes], list[str]]  # contents by file name, and what to say of them
_MAX_SIDE = 64  # outputs are compared on images of at most this side: every layer runs, in little time


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-export``."""
    return cli.run(lambda: _export(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("nas-export", description=DESCRIPTION, formatter_class=cli.HelpFormatter)
    parser.add_argument("network", nargs="?", metavar="FILE", help="an architecture's YAML file or name")
    parser.add_argument("--run", type=Path, metavar="RUN", help="the best network of this run directory instead")
    parser.add_argument("--to", required=True, choices=list(_FORMATS), help="what to write")
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
    files, lines = _FORMATS[args.to](architecture, name, args)
    write_new({args.output / file: content for file, content in files.items()})
    for line in lines:
        cli.say(line)
    return cli.DONE


def read_network(path_or_name: str) -> tuple[Architecture, str]:
    """An architecture and a name for files: its own, else its file's.

    Raises:
        InputError: No such file or name, or not an architecture.
    """
    text, source = named.read_config("architecture", "architectures", path_or_name)
    architecture, metadata = read_document(text, source)
    return architecture, re.sub(r"[^A-Za-z0-9._-]+", "-", str(metadata.get("name") or Path(source).stem)).strip(".")


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


def _to_yaml(architecture: Architecture, name: str, args: argparse.Namespace) -> _Exported:
    cost = count(architecture)
    return {f"{name}.yaml": architecture.to_yaml(name=name, metrics={"macs": cost.macs, "params": cost.params})}, []


def _to_torch(architecture: Architecture, name: str, args: argparse.Namespace) -> _Exported:
    from nas import export_check, export_torch

    network, images = export_check.prepare(architecture, args.weights, args.bn_eps, _MAX_SIDE)
    source = export_torch.to_source(architecture, name)
    outputs = export_check.run_clean(source, network, images)
    difference = export_check.compare("the PyTorch file", outputs, network, images, 1e-5)
    files = {f"{_module(name)}.py": source, **_weights(architecture, name, args, network)}
    return files, [f"checked in a clean process: outputs differ by at most {difference:.1e}"]


def _to_timm(architecture: Architecture, name: str, args: argparse.Namespace) -> _Exported:
    from nas import export_check, export_timm

    source = export_timm.to_source(architecture, name)
    network, images = export_check.prepare(architecture, args.weights, args.bn_eps, _MAX_SIDE)
    try:
        export_timm.import_timm()
    except InputError as error:
        checked = f"not checked: {error}"
    else:
        outputs = export_timm.run_in_timm(source, network, images)
        difference = export_check.compare("the model in timm", outputs, network, images, 1e-5)
        checked = f"checked in timm: outputs differ by at most {difference:.1e}"
    return {f"{_module(name)}_timm.py": source, **_weights(architecture, name, args, network)}, [checked]


def _to_onnx(architecture: Architecture, name: str, args: argparse.Namespace) -> _Exported:
    from evaluator.latency import LatencyMeter, median_ms
    from nas import export_check, export_onnx

    export_onnx.import_onnx()
    network, images = export_check.prepare(architecture, args.weights, args.bn_eps, architecture.resolution)
    model = export_onnx.to_bytes(network, images)
    session = export_onnx.open_session(model)
    difference = export_check.compare("the ONNX file", export_onnx.run(session, images), network, images, 1e-4)
    latency = median_ms(lambda: export_onnx.run(session, images[:1]))
    lines = [
        f"checked in onnxruntime: outputs differ by at most {difference:.1e}",
        f"latency {latency:.1f} ms an image in onnxruntime, one CPU thread, {architecture.resolution} pixels",
    ]
    if args.latency:
        lines.append(f"latency {LatencyMeter().measure(architecture):.1f} ms an image in PyTorch, the same way")
    return {f"{name}.onnx": model}, lines


def _weights(
    architecture: Architecture, name: str, args: argparse.Namespace, network: Network
) -> dict[str, str | bytes]:
    """The weights beside the code, in the names and with the eps of the code."""
    from evaluator.weights import to_bytes

    return {f"{name}.safetensors": to_bytes(network, architecture)} if args.weights else {}


def _module(name: str) -> str:
    """A name that Python can import."""
    word = re.sub(r"\W", "_", name)
    return f"network_{word}" if not word or word[0].isdigit() else word


_FORMATS: dict[str, Callable[[Architecture, str, argparse.Namespace], _Exported]] = {
    "yaml": _to_yaml,
    "timm": _to_timm,
    "torch": _to_torch,
    "onnx": _to_onnx,
}
