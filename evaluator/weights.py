"""Weights files: written as safetensors, read from safetensors or PyTorch files, ours, timm's or torchvision's.

Our modules are named as timm's EfficientNet, so timm's weights need no map; torchvision's EfficientNets, MobileNetV2
and MNASNets are mapped, and the ResNets of both. Files are data: nothing in them is run.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor

from evaluator.data.trained_on import Channels, Origin, TrainedOn, from_metadata, origin_of
from search_space.architecture import Architecture, Layer
from search_space.builder import Network
from search_space.errors import InputError

FORMAT = "nas-weights/1"
FOREIGN_EPS = 1e-5
"""BatchNorm's eps in timm's and torchvision's EfficientNets, torchvision's B5 to B7 apart; ours is the papers' 1e-3."""
IMAGENET_PIXELS: tuple[Channels, Channels] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and deviation of the pixels, 0 to 255, that timm's and torchvision's networks were trained with."""
_WRAPPERS = ("state_dict", "model")
_BATCHNORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_CLASSIFIER = ("classifier.weight", "classifier.bias")
_TENSORFLOW = re.compile(r"(.*--)?tf_(efficientnet|mobilenet|mixnet)")


def to_bytes(network: Network, architecture: Architecture, trained_on: TrainedOn | None = None) -> bytes:
    """A network's weights as a safetensors file that names the architecture they belong to.

    Args:
        network: Built from `architecture`.
        architecture: Whose weights they are.
        trained_on: What else whoever uses them must know; None where that is not known.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {FORMAT: _digest(architecture), **(trained_on.to_metadata() if trained_on else {})}
    return _in_order(save_safetensors(tensors, metadata))


def _in_order(file: bytes) -> bytes:
    """A safetensors file whose metadata are in the order of their names: the library's own differs each time."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of eight
    return len(text).to_bytes(8, "little") + text + file[end:]


def read_trained_on(path: Path, classes: int) -> TrainedOn | None:
    """What the weights of a file were trained on; None where it does not say.

    Args:
        path: As `load_weights` takes it.
        classes: Outputs of the network.

    Raises:
        InputError: The file is missing, broken or truncated, or its metadata are.
    """
    _, metadata = _read(path)
    return from_metadata(metadata, classes, str(path))


def _digest(architecture: Architecture) -> str:
    """What weights depend on: the resolution and the dropout rate may change under them."""
    return dataclasses.replace(architecture, resolution=224, dropout=0.0).key


def load_weights(
    network: Network, architecture: Architecture, path: Path, eps: float | None = None, *, any_classes: bool = False
) -> Origin:
    """Give a network the weights of a file.

    BatchNorm divides by sqrt(variance + eps). Weights made with another eps are converted by their scales, so that the
    outputs stay the same.

    Args:
        network: Built from `architecture`; unchanged if the file does not fit.
        architecture: What the file must hold the weights of.
        path: A safetensors file, or a PyTorch file that holds a state dict.
        eps: BatchNorm's eps that the weights were made with; None for our own in our files, torchvision's as its
            release has it, and `FOREIGN_EPS` in others.
        any_classes: Weights of as many classes as they like will do; of another number, the network keeps its own
            classifier.

    Raises:
        InputError: The file is missing, broken or truncated, or holds the weights of another network.
    """
    if any(_TENSORFLOW.match(part) for part in path.parts[-4:]):  # a file's name, or its folder in a download cache
        raise InputError(
            f"{path}: networks called tf_ pad images as TensorFlow does, to one side, and ours would compute something "
            "else; take timm's network without tf_, or rename the file to go on all the same"
        )
    state, metadata = _read(path)
    ours = FORMAT in metadata
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    names = _torchvision_names(state, architecture)
    state = {names.get(name, name): tensor for name, tensor in state.items()}
    expected = network.state_dict()
    classes = _rows(state) if any_classes else architecture.classes
    kept = {}
    if classes != architecture.classes:
        architecture = dataclasses.replace(architecture, classes=classes)
        kept = {name: expected[name] for name in _CLASSIFIER}
        expected |= {name: tensor.new_empty(classes, *tensor.shape[1:], device="meta") for name, tensor in kept.items()}
    for name in expected:
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, torch.zeros((), dtype=torch.int64))
    _check(state, expected, path)
    if ours and metadata[FORMAT] != _digest(architecture):
        raise InputError(f"{path}: weights of another architecture: its strides, shortcuts or activation differ")
    origin = origin_of(metadata, classes, str(path)) if ours else Origin(classes, IMAGENET_PIXELS)
    if eps is None:
        large = "features.0.0.weight" in names and _is_large(architecture)
        eps = network.bn1.eps if ours or large else FOREIGN_EPS
    if eps != network.bn1.eps:
        _convert_eps(state, eps, network.bn1.eps)
    network.load_state_dict(state | kept)
    return origin


def _rows(state: Mapping[str, Tensor]) -> int:
    """Outputs of the classifier in `state`; what is none is for `_check` to refuse."""
    weight = state.get(_CLASSIFIER[0])
    return len(weight) if weight is not None and weight.dim() == 2 and len(weight) else 1


def _convert_eps(state: dict[str, Tensor], old: float, new: float) -> None:
    """Scale every BatchNorm's weight in `state` so that it computes with eps `new` what it did with `old`."""
    for name in [name for name in state if name.endswith(".running_var")]:
        variance, weight = state[name].double(), name.replace("running_var", "weight")
        factor = ((variance + new) / (variance + old)).sqrt()
        state[weight] = (state[weight].double() * factor).float()


def _is_large(architecture: Architecture) -> bool:
    """Whether this is EfficientNet-B5 or larger, which torchvision builds with eps 1e-3."""
    return architecture.head >= 2048


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by name, and a safetensors file's metadata."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if start[8:] == b"{":
        try:
            with safe_open(path, framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}
        except (SafetensorError, ValueError) as error:
            raise InputError(f"{path}: broken or truncated safetensors file: {_first_line(error)}") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - on damaged input its reader raises anything, IndexError too
        raise InputError(f"{path}: not a weights file, or broken: {_first_line(error)}") from None
    return _tensors(content, path), {}


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if not named or not content or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise InputError(f"{path}: holds no state dict: expected tensors by name")
    odd = [name for name, tensor in content.items() if not _is_plain(tensor)]
    if odd:
        raise InputError(f"{path}: {odd[0][:80]} is no tensor of plain numbers")
    return dict(content)


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds each of its numbers: neither sparse, quantized, complex nor one number many times."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized or tensor.is_complex():
        return False
    held = tensor.untyped_storage().nbytes()
    return tensor.device.type == "cpu" and tensor.numel() * tensor.element_size() <= held


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:160]


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in state]
    foreign = [name for name in state if name not in expected]
    if missing or foreign:
        parts = [f"{len(missing)} tensors are missing, first {missing[0]}"] if missing else []
        parts += [f"{len(foreign)} are of another network, first {foreign[0][:80]}"] if foreign else []
        raise InputError(f"{path}: does not hold this architecture's weights: {'; '.join(parts)}")
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            what = "another number of classes" if name.startswith("classifier") else "another architecture"
            shapes = f"{name} is {tuple(state[name].shape)}, must be {tuple(tensor.shape)}"
            raise InputError(f"{path}: weights of {what}: {shapes}")
        if state[name].is_floating_point() and not bool(state[name].isfinite().all()):
            raise InputError(f"{path}: {name} holds NaN or infinity")


def _resnet_name(name: str) -> str:
    """Our name of a tensor of a ResNet, torchvision's or timm's."""
    part, _, rest = name.partition(".")
    if part.startswith("layer") and part[5:].isdecimal():
        return f"blocks.{int(part[5:]) - 1}.{rest.replace('downsample', 'shortcut')}"
    return {"conv1": "conv_stem", "fc": "classifier"}.get(part, part) + f".{rest}"


def _torchvision_names(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, str]:
    """torchvision's names of parameters and buffers to ours, of ResNets also timm's; none where `state` is of neither.

    `features` hold stem, layers and head in a row: EfficientNet's by stage, MobileNetV2's each on its own. MNASNet's
    `layers` hold stem and first layer unpacked.
    """
    if "layer1.0.conv1.weight" in state:
        return {name: _resnet_name(name) for name in state}
    rows = architecture.stage_layers()
    layers = [(f"blocks.{i}.{j}", i, j, layer) for i, row in enumerate(rows) for j, layer in enumerate(row)]
    if "layers.0.weight" in state:
        names = _conv_norm("layers.0", "layers.1", "conv_stem", "bn1")
        for ours, i, j, layer in layers:
            prefix, first = (f"layers.{i + 7}.{j}.layers.", 0) if i else ("layers.", 3)
            for number, step in enumerate(_steps(ours, layer)):
                names |= _conv_norm(f"{prefix}{3 * number + first}", f"{prefix}{3 * number + first + 1}", *step)
        end = len(rows) + 7
        names |= _conv_norm(f"layers.{end}", f"layers.{end + 1}", "conv_head", "bn2")
    elif "features.0.0.weight" in state:
        flat = "features.1.conv.0.0.weight" in state
        end = len(layers if flat else rows) + 1
        names = _conv_norm("features.0.0", "features.0.1", "conv_stem", "bn1")
        for position, (ours, i, j, layer) in enumerate(layers, 1):
            if flat:
                names |= _mobilenet_layer(f"features.{position}.conv", ours, layer)
            else:
                names |= _efficientnet_layer(f"features.{i + 1}.{j}.block", ours, layer)
        names |= _conv_norm(f"features.{end}.0", f"features.{end}.1", "conv_head", "bn2")
    else:
        return {}
    return names | {f"classifier.1.{part}": f"classifier.{part}" for part in ("weight", "bias")}


def _steps(ours: str, layer: Layer) -> list[tuple[str, str]]:
    """Our names of a layer's convolutions and the BatchNorm after each."""
    separable = (("conv_dw", "bn1"), ("conv_pw", "bn2"))
    steps = (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")) if layer.has_expansion else separable
    return [(f"{ours}.{conv}", f"{ours}.{norm}") for conv, norm in steps]


def _mobilenet_layer(theirs: str, ours: str, layer: Layer) -> dict[str, str]:
    *packed, last = _steps(ours, layer)
    names = _conv_norm(f"{theirs}.{len(packed)}", f"{theirs}.{len(packed) + 1}", *last)
    for number, step in enumerate(packed):
        names |= _conv_norm(f"{theirs}.{number}.0", f"{theirs}.{number}.1", *step)
    return names


def _efficientnet_layer(theirs: str, ours: str, layer: Layer) -> dict[str, str]:
    names = {}
    steps = _steps(ours, layer)
    position = 0
    for number, step in enumerate(steps):
        if layer.squeeze_channels and number == len(steps) - 1:  # squeeze-excite stands before the projection
            for their_part, our_part in (("fc1", "conv_reduce"), ("fc2", "conv_expand")):
                for kind in ("weight", "bias"):
                    names[f"{theirs}.{position}.{their_part}.{kind}"] = f"{ours}.se.{our_part}.{kind}"
            position += 1
        names |= _conv_norm(f"{theirs}.{position}.0", f"{theirs}.{position}.1", *step)
        position += 1
    return names


def _conv_norm(their_conv: str, their_norm: str, conv: str, norm: str) -> dict[str, str]:
    names = {f"{their_norm}.{part}": f"{norm}.{part}" for part in _BATCHNORM}
    return names | {f"{their_conv}.weight": f"{conv}.weight"}
