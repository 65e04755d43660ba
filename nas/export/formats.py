"""What a network can be written as, each checked against the network before it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.errors import InputError
from search_space.io import named

if TYPE_CHECKING:
    from evaluator.data.trained_on import TrainedOn
    from search_space.builder import Network

Exported = tuple[dict[str, str | bytes], list[str]]
"""Contents by file name, and what to say of them."""
_MAX_SIDE = 64  # outputs are compared on images of at most this side: every layer runs, in little time


@dataclass(frozen=True, slots=True)
class Request:
    """What else is wanted of an export."""

    weights: Path | None = None
    """File of the network's weights; None leaves it untrained."""
    bn_eps: float | None = None
    """BatchNorm's eps that the weights were made with; None for the file's own."""
    latency: bool = False
    """ONNX: also time the network in PyTorch."""


def read_network(path_or_name: str) -> tuple[Architecture, str]:
    """An architecture and a name for files: its own, else its file's.

    Raises:
        InputError: No such file or name, or not an architecture.
    """
    text, source = named.read_config("architecture", "architectures", path_or_name)
    architecture, metadata = read_document(text, source)
    return architecture, re.sub(r"[^A-Za-z0-9._-]+", "-", str(metadata.get("name") or Path(source).stem)).strip(".")


def _to_yaml(architecture: Architecture, name: str, request: Request) -> Exported:
    cost = count(architecture)
    return {f"{name}.yaml": architecture.to_yaml(name=name, metrics={"macs": cost.macs, "params": cost.params})}, []


def _to_torch(architecture: Architecture, name: str, request: Request) -> Exported:
    from nas.export import check as export_check
    from nas.export import torch_file as export_torch

    network, images = export_check.prepare(architecture, request.weights, request.bn_eps, _MAX_SIDE)
    source = export_torch.to_source(architecture, name, _trained_on(architecture, request))
    outputs = export_check.run_clean(source, network, images)
    difference = export_check.output_difference("the PyTorch file", outputs, network, images, 1e-5)
    files = {f"{_module(name)}.py": source, **_weights(architecture, name, request, network)}
    return files, [f"checked in a clean process: outputs differ by at most {difference:.1e}"]


def _to_timm(architecture: Architecture, name: str, request: Request) -> Exported:
    from nas.export import check as export_check
    from nas.export import timm_file as export_timm

    source = export_timm.to_source(architecture, name, _trained_on(architecture, request))
    network, images = export_check.prepare(architecture, request.weights, request.bn_eps, _MAX_SIDE)
    try:
        export_timm.import_timm()
    except InputError as error:
        checked = f"not checked: {error}"
    else:
        outputs = export_timm.run_in_timm(source, network, images)
        difference = export_check.output_difference("the model in timm", outputs, network, images, 1e-5)
        checked = f"checked in timm: outputs differ by at most {difference:.1e}"
    return {f"{_module(name)}_timm.py": source, **_weights(architecture, name, request, network)}, [checked]


def _to_onnx(architecture: Architecture, name: str, request: Request) -> Exported:
    from evaluator.device.latency import LatencyMeter, median_ms
    from nas.export import check as export_check
    from nas.export import onnx_file as export_onnx

    export_onnx.import_onnx()
    network, images = export_check.prepare(architecture, request.weights, request.bn_eps, architecture.resolution)
    trained_on = _trained_on(architecture, request)
    size = {"input_size": str(architecture.resolution)}
    model = export_onnx.to_bytes(network, images, size if trained_on is None else trained_on.to_metadata())
    session = export_onnx.open_session(model)
    difference = export_check.output_difference(
        "the ONNX file", export_onnx.run(session, images), network, images, 1e-4
    )
    latency = median_ms(lambda: export_onnx.run(session, images[:1]))
    lines = [
        f"checked in onnxruntime: outputs differ by at most {difference:.1e}",
        f"latency {latency:.1f} ms an image in onnxruntime, one CPU thread, {architecture.resolution} pixels",
    ]
    if request.latency:
        lines.append(f"latency {LatencyMeter().measure(architecture):.1f} ms an image in PyTorch, the same way")
    return {f"{name}.onnx": model}, lines


def _weights(architecture: Architecture, name: str, request: Request, network: Network) -> dict[str, str | bytes]:
    """The weights beside the code, in the names and with the eps of the code."""
    from evaluator.weights import to_bytes

    if request.weights is None:
        return {}
    return {f"{name}.safetensors": to_bytes(network, architecture, _trained_on(architecture, request))}


def _trained_on(architecture: Architecture, request: Request) -> TrainedOn | None:
    """What the given weights were trained on, as far as their file says."""
    from evaluator.weights import read_trained_on

    return None if request.weights is None else read_trained_on(request.weights, architecture.classes)


def _module(name: str) -> str:
    """A name that Python can import."""
    word = re.sub(r"\W", "_", name)
    return f"network_{word}" if not word or word[0].isdigit() else word


FORMATS: dict[str, Callable[[Architecture, str, Request], Exported]] = {
    "yaml": _to_yaml,
    "timm": _to_timm,
    "torch": _to_torch,
    "onnx": _to_onnx,
}
"""By name."""
