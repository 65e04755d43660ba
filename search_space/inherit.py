"""Weights from one architecture to another: a network begins with what a trained one knows.

Stages correspond in order, layers of a stage from its first, channels by importance, kernels around their centre. A
channel's importance is the L1 norm of the filters that write it (arXiv:1608.08710, section 3.1), summed over all layers
that a shortcut joins, so that one choice holds along a residual path (section 3.3). Layers of another operator are not
inherited.

What is new does no harm: inherited filters read nothing of new channels, new layers beside a shortcut begin as the
identity, and a new squeeze-excite as one gate for all. A network that is only wider, deeper or has larger kernels
computes what its parent did.
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from search_space.architecture import Architecture, Layer
from search_space.builder import Network
from search_space.errors import InputError

_CONVOLUTIONS = {
    "mbconv": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
    "separable": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "conv": (("conv", "bn1"),),
    "linear": (("conv", "bn1"),),
}
"""By kind of layer: its convolutions, and the BatchNorm after each."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """How much of a network came from another."""

    weights: int
    """Parameters that did."""
    of_weights: int
    """All its parameters."""
    layers: int
    """Layers that did, in part or whole; stem and head apart."""
    of_layers: int
    """All of them."""

    def __str__(self) -> str:
        """In words."""
        share = f"{self.weights:,} of {self.of_weights:,} weights ({self.weights / self.of_weights:.0%})"
        return f"{share} inherited, in {self.layers} of {self.of_layers} layers; the others are new"


def check_movable(architecture: Architecture) -> None:
    """Refuse a network whose weights `inherit` cannot move.

    Raises:
        InputError: It has layers whose weights cannot be moved, or no head: it is a ResNet.
    """
    foreign = sorted({stage.op for stage in architecture.stages} - set(_CONVOLUTIONS))
    if foreign or not architecture.head:
        what = f"layers {', '.join(foreign)}" if foreign else "no head"
        raise InputError(f"weights cannot be moved to or from a network with {what}")


def inherit(network: Network, architecture: Architecture, parent: Network, parents: Architecture) -> Inheritance:
    """Give a network all that it can take of another's weights.

    BatchNorm's statistics come along; where anything was dropped they no longer hold, and are best taken again on
    training images. The classifier is inherited where both tell as many classes apart.

    Args:
        network: Freshly built from `architecture`, on the CPU; changed in place.
        architecture: The child's.
        parent: Built from `parents` and trained, on the CPU.
        parents: The parent's architecture.

    Raises:
        InputError: One of them is refused by `check_movable`.
    """
    for whole in (architecture, parents):
        check_movable(whole)
    with torch.no_grad():
        return _Move(network, parent, parents).everything(architecture)


class _Move:
    """One move of weights; channels are (C,) positions in the parent, -1 for new ones."""

    def __init__(self, network: Network, parent: Network, parents: Architecture) -> None:
        self._own = network.state_dict()
        self._given = parent.state_dict()
        self._parents = parents
        self._rows = parents.stage_layers()
        self._paths = self._importance()
        self._trained = {name for name, _ in network.named_parameters()}
        self._count = 0

    def everything(self, architecture: Architecture) -> Inheritance:
        """Move what can be moved to the architecture's network."""
        rows = architecture.stage_layers()
        partners = _partners(architecture, self._parents)
        stem = _kept(self._paths[0], architecture.stem)
        self._convolution("conv_stem", "conv_stem", stem, torch.arange(3))
        self._values("bn1", "bn1", stem)
        inherited = 0
        for i, row in enumerate(rows):
            partner = partners.get(i)
            theirs = () if partner is None else self._rows[partner]
            for j, layer in enumerate(row):
                own = f"blocks.{i}.{j}"
                if partner is not None and j < len(theirs) and _kind(layer) == _kind(theirs[j]):
                    inputs = _kept(self._paths[partner + (j > 0)], layer.in_channels)
                    outputs = _kept(self._paths[partner + 1], layer.out_channels)
                    self._layer(own, f"blocks.{partner}.{j}", layer, theirs[j], inputs, outputs)
                    inherited += 1
                elif layer.skip != "none" and layer.op != "conv":  # a ReLU after a zero scale would never wake up
                    self._own[f"{own}.{_CONVOLUTIONS[_kind(layer)][-1][1]}.weight"].zero_()
        head = _kept(_strength(self._given["conv_head.weight"]), architecture.head)
        self._convolution("conv_head", "conv_head", head, _kept(self._paths[-1], rows[-1][-1].out_channels))
        self._values("bn2", "bn2", head)
        if architecture.classes == self._parents.classes:
            classes = torch.arange(architecture.classes)
            self._convolution("classifier", "classifier", classes, head)
            self._values("classifier", "classifier", classes, ("bias",))
        total = sum(self._own[name].numel() for name in self._trained)
        return Inheritance(self._count, total, inherited, sum(map(len, rows)))

    def _importance(self) -> list[Tensor]:
        """(P,) of the channels after the stem, and after each stage; the same where a shortcut joins them."""
        paths = [_strength(self._given["conv_stem.weight"])]
        of = [0]
        for i, row in enumerate(self._rows):
            writers = [f"blocks.{i}.{j}.{_CONVOLUTIONS[_kind(layer)][-1][0]}.weight" for j, layer in enumerate(row)]
            strength = torch.stack([_strength(self._given[name]) for name in writers]).sum(0)
            if row[0].skip == "none":
                paths.append(strength)
            else:
                paths[-1] = paths[-1] + strength
            of.append(len(paths) - 1)
        return [paths[path] for path in of]

    def _layer(self, own: str, given: str, layer: Layer, theirs: Layer, inputs: Tensor, outputs: Tensor) -> None:
        """Move a layer of one kind in both, from `inputs` to `outputs`."""
        kind = _kind(layer)
        inner = inputs if kind == "separable" else outputs
        if kind == "mbconv":
            inner = _kept(_strength(self._given[f"{given}.conv_pw.weight"]), layer.expanded_channels)
        channels: dict[str, tuple[Tensor, Tensor | None]] = {
            "mbconv": {"conv_pw": (inner, inputs), "conv_dw": (inner, None), "conv_pwl": (outputs, inner)},
            "separable": {"conv_dw": (inputs, None), "conv_pw": (outputs, inputs)},
        }.get(kind, {"conv": (outputs, inputs)})
        for conv, norm in _CONVOLUTIONS[kind]:
            self._convolution(f"{own}.{conv}", f"{given}.{conv}", *channels[conv])
            self._values(f"{own}.{norm}", f"{given}.{norm}", channels[conv][0])
        if layer.squeeze_channels and theirs.squeeze_channels:
            squeeze = _kept(_strength(self._given[f"{given}.se.conv_reduce.weight"]), layer.squeeze_channels)
            for conv, rows, columns in (("conv_reduce", squeeze, inner), ("conv_expand", inner, squeeze)):
                self._convolution(f"{own}.se.{conv}", f"{given}.se.{conv}", rows, columns)
                self._values(f"{own}.se.{conv}", f"{given}.se.{conv}", rows, ("bias",))
        elif layer.squeeze_channels:
            self._own[f"{own}.se.conv_expand.weight"].zero_()  # the gate is sigmoid(0), a half, whatever it sees
            if layer.op == "mbconv":
                self._own[f"{own}.{_CONVOLUTIONS[kind][-1][0]}.weight"].mul_(2)

    def _convolution(self, own: str, given: str, rows: Tensor, columns: Tensor | None) -> None:
        """Move the weights of a convolution or linear layer (C_out, C_in, ...); no columns of a depthwise one."""
        weight, source = self._own[f"{own}.weight"], self._given[f"{given}.weight"]
        to, of = _moved(rows)
        weight[to] = 0  # what inherited filters do not inherit
        kernel = 1
        if weight.dim() == 4:
            kernel = min(weight.shape[-1], source.shape[-1])
            margin = (weight.shape[-1] - source.shape[-1]) // 2
            source = functional.pad(source, [margin] * 4)  # a negative margin crops
        if columns is None:
            weight[to] = source[of]
            self._count += len(to) * kernel**2
        else:
            read, from_ = _moved(columns)
            weight[to[:, None], read] = source[of[:, None], from_]
            self._count += len(to) * len(read) * kernel**2

    def _values(
        self,
        own: str,
        given: str,
        rows: Tensor,
        parts: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var"),
    ) -> None:
        """Move what has one value a channel: BatchNorm's, unless other `parts` are named."""
        to, of = _moved(rows)
        for part in parts:
            self._own[f"{own}.{part}"][to] = self._given[f"{given}.{part}"][of]
            self._count += len(to) if f"{own}.{part}" in self._trained else 0


def _kind(layer: Layer) -> str:
    """What decides which tensors a layer has."""
    return "separable" if layer.op == "mbconv" and not layer.has_expansion else layer.op


def _strength(weight: Tensor) -> Tensor:
    """(P,) the L1 norm of each filter of (P, ...)."""
    return weight.abs().flatten(1).sum(1)


def _kept(importance: Tensor, count: int) -> Tensor:
    """(count,) the most important of the parent's channels in their order, then -1 for each that it does not have."""
    most = importance.topk(min(count, len(importance))).indices.sort().values
    return torch.cat([most, most.new_full((count - len(most),), -1)])


def _moved(channels: Tensor) -> tuple[Tensor, Tensor]:
    """Where inherited channels go in the child, and where they are in the parent."""
    to = (channels >= 0).nonzero().flatten()
    return to, channels[to]


def _partners(architecture: Architecture, parents: Architecture) -> dict[int, int]:
    """The parent's stage for each of the child's that has one.

    As they come, where both have as many; else, where blocks were left out, as they come at the same total stride.
    """
    if len(architecture.stages) == len(parents.stages):
        return {i: i for i in range(len(parents.stages))}
    free = list(enumerate(_total_strides(parents)))
    partners = {}
    for i, stride in enumerate(_total_strides(architecture)):
        found = next((place for place in free if place[1] == stride), None)
        if found is not None:
            partners[i] = found[0]
            free.remove(found)
    return partners


def _total_strides(architecture: Architecture) -> list[int]:
    """After each stage, without the stem's."""
    strides = [stage.stride for stage in architecture.stages]
    return list(itertools.accumulate(strides, operator.mul))
