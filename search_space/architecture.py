"""Architecture: a convnet of the MnasNet / EfficientNet or ResNet kind as a frozen value.

A stem convolution, stages of repeated blocks, a 1x1 head convolution, global average pooling and a linear classifier;
ResNets (arXiv:1512.03385) have a larger kernel and pooling in the stem, and no head. A stage is MnasNet's block
(MnasNet, arXiv:1807.11626, section 4.1): one operator with one set of choices, repeated; only its first layer strides.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from search_space.errors import InputError, check_fields
from search_space.io import named, schema, strict_yaml

FORMAT = "nas-architecture/1"
METADATA_KEYS = ("name", "metrics", "provenance")

Op = Literal["conv", "mbconv", "linear", "basic", "bottleneck"]
Skip = Literal["none", "identity", "pool", "project"]
Activation = Literal["relu", "relu6", "silu"]


MOST_CHANNELS = 100_000
"""Of a layer; more is a slip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One block of the papers: an operator repeated `layers` times with the same choices.

    The papers' separable convolution is ``mbconv`` with ``expand`` 1: no expansion convolution.
    """

    op: Op
    """``conv``: k x k convolution; ``mbconv``: expansion, depthwise k x k, squeeze-excite, projection; ``linear``: 1x1
    convolution without an activation; ``basic``: two k x k convolutions; ``bottleneck``: 1x1, k x k, 1x1 (ResNet,
    arXiv:1512.03385, figure 5; the k x k convolution strides, as in PyTorch's)."""
    expand: int = 1
    """``mbconv``: channels of the depthwise convolution over input channels; ``bottleneck``: output channels over those
    of the k x k convolution, which are rounded down; 1 for others."""
    kernel: int
    """Kernel size: 3, 5 or 7; 1 for ``linear``."""
    stride: int = 1
    """Stride of the first layer, 1 or 2; the others have 1."""
    channels: int
    """Output channels of every layer."""
    layers: int = 1
    """Number of layers."""
    se: float = 0.0
    """Squeeze-excite width over the layer's input channels; 0 for none."""
    skip: Skip = "identity"
    """Shortcut of each layer whose input and output channels agree; ``identity`` also needs stride 1; ``project`` is
    ``identity`` where that can be, else a 1x1 convolution."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "se", _as_float(self.se))
        linear, expands = self.op == "linear", self.op in ("mbconv", "bottleneck")
        kernel_ok = self.kernel == 1 if linear else self.kernel in (3, 5, 7)
        check_fields(
            (
                _is_int(self.channels, 1, MOST_CHANNELS),
                "channels",
                self.channels,
                f"a whole number from 1 to {MOST_CHANNELS}",
            ),
            (self.op in get_args(Op), "op", self.op, _one_of(Op)),
            (_is_int(self.expand, 1, 64), "expand", self.expand, "a whole number from 1 to 64"),
            (expands or self.expand == 1, "expand", self.expand, f"1 where op is {self.op}"),
            (
                _is_int(self.kernel, 1, 7) and kernel_ok,
                "kernel",
                self.kernel,
                "1 where op is linear" if linear else "3, 5 or 7",
            ),
            (_is_int(self.stride, 1, 2), "stride", self.stride, "1 or 2"),
            (_is_int(self.layers, 1, 100), "layers", self.layers, "a whole number from 1 to 100"),
            (isinstance(self.se, float) and 0 <= self.se <= 1, "se", self.se, "a number from 0 to 1"),
            (not linear or self.se == 0, "se", self.se, "0 where op is linear"),
            (self.skip in get_args(Skip), "skip", self.skip, _one_of(Skip)),
        )

    @property
    def inner_channels(self) -> int:
        """Channels of a bottleneck's k x k convolution."""
        return max(1, self.channels // self.expand)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer as it is built: what cost, builder and exporters read."""

    op: Op
    in_channels: int
    expanded_channels: int
    """Channels of the depthwise convolution; equal to `in_channels` where there is no expansion convolution. Of a
    bottleneck, channels of its k x k convolution."""
    kernel: int
    stride: int
    out_channels: int
    squeeze_channels: int
    """Width of the squeeze-excite bottleneck; 0 for none."""
    skip: Skip
    """The shortcut in effect: ``none`` where channels or stride do not allow the stage's; ``project`` only where its
    convolution is there."""

    @property
    def has_expansion(self) -> bool:
        """Whether a 1x1 convolution expands the input."""
        return self.expanded_channels != self.in_channels


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A complete network, validated in full when made; equal values build equal networks.

    Raises:
        InputError: A field that is out of range, by name, with its value and what is allowed.
    """

    resolution: int = 224
    """Height and width of the deployment input, pixels."""
    classes: int = 1000
    """Outputs of the classifier."""
    stem: int = 32
    """Channels of the first convolution."""
    stem_stride: int = 2
    """Its stride: 2, or 1 to keep the resolution of small images."""
    stem_kernel: int = 3
    """Its kernel size: 3, 5 or 7."""
    stem_pool: bool = False
    """Whether 3x3 max pooling of stride 2 follows it."""
    stages: tuple[Stage, ...]
    """The blocks, in order."""
    head: int = 1280
    """Channels of the last 1x1 convolution; 0 for none."""
    activation: Activation = "silu"
    """Activation after every normalisation and inside squeeze-excite."""
    dropout: float = 0.2
    """Dropout rate before the classifier."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        object.__setattr__(self, "dropout", _as_float(self.dropout))
        kernel_ok = isinstance(self.stem_kernel, int)
        stages_ok = 1 <= len(self.stages) <= 100 and all(isinstance(stage, Stage) for stage in self.stages)
        check_fields(
            (_is_int(self.resolution, 1, 10_000), "resolution", self.resolution, "a whole number from 1 to 10000"),
            (_is_int(self.classes, 1, 1_000_000), "classes", self.classes, "a whole number from 1 to 1000000"),
            (_is_int(self.stem, 1, MOST_CHANNELS), "stem", self.stem, f"a whole number from 1 to {MOST_CHANNELS}"),
            (_is_int(self.stem_stride, 1, 2), "stem_stride", self.stem_stride, "1 or 2"),
            (stages_ok, "stages", self.stages, "1 to 100 stages"),
            (self.stem_kernel in (3, 5, 7) and kernel_ok, "stem_kernel", self.stem_kernel, "3, 5 or 7"),
            (isinstance(self.stem_pool, bool), "stem_pool", self.stem_pool, "true or false"),
            (_is_int(self.head, 0, MOST_CHANNELS), "head", self.head, f"a whole number from 0 to {MOST_CHANNELS}"),
            (self.activation in ("relu", "relu6", "silu"), "activation", self.activation, "relu, relu6 or silu"),
            (isinstance(self.dropout, float) and 0 <= self.dropout < 1, "dropout", self.dropout, "from 0 to below 1"),
        )

    @property
    def total_stride(self) -> int:
        """What the sides of an image are divided by, rounding up, on the way to the head."""
        return self.stem_stride * (1 + self.stem_pool) * math.prod(stage.stride for stage in self.stages)

    @property
    def features(self) -> int:
        """Inputs of the classifier: channels of the head, or of the last stage."""
        return self.head or self.stages[-1].channels

    def stage_layers(self) -> tuple[tuple[Layer, ...], ...]:
        """The layers of each stage as they are built, with effective shortcuts and squeeze widths."""
        built, channels = [], self.stem
        for stage in self.stages:
            layers = [_layer(stage, channels, stage.stride)]
            layers += [_layer(stage, stage.channels, 1)] * (stage.layers - 1)
            built.append(tuple(layers))
            channels = stage.channels
        return tuple(built)

    @cached_property
    def key(self) -> str:
        """16 hex digits of SHA-256 over what is built: equal for equal networks, in every process and version."""
        built = self._as_before({name: getattr(self, name) for name in _SCALARS})
        built["layers"] = [[getattr(layer, name) for name in _LAYER] for row in self.stage_layers() for layer in row]
        return hashlib.sha256(json.dumps(built, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(
        self,
        *,
        name: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> str:
        """The architecture as a readable YAML document.

        Args:
            name: What to call it; metadata, like the two below: no part of its identity.
            metrics: What was measured of it: MACs, parameters, accuracy, reward.
            provenance: Where it comes from: space, seed, trial, run, versions.
        """
        document: dict[str, Any] = {"format": FORMAT}
        document |= {"name": name} if name else {}
        document |= self._as_before(schema.to_plain(self))
        document |= {"metrics": schema.to_plain(metrics)} if metrics else {}
        document |= {"provenance": schema.to_plain(provenance)} if provenance else {}
        return strict_yaml.dump(document)

    def _as_before(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Without fields that were none once, at their usual values: keys and files stay as they were."""
        return {name: value for name, value in fields.items() if name not in _LATER or value != _LATER[name]}

    @classmethod
    def from_yaml(cls, text: str, source: str = "architecture") -> Architecture:
        """Read what `to_yaml` writes.

        Args:
            text: A YAML document.
            source: The file's name, for the error.

        Raises:
            InputError: Not YAML, another format, unknown, missing or duplicate keys, wrong types or values.
        """
        return read_document(text, source)[0]

    @classmethod
    def load(cls, path_or_name: str | Path) -> Architecture:
        """Read a YAML file, or an installed architecture by name, e.g. ``efficientnet-b0``.

        Raises:
            InputError: No such file or name, or as `from_yaml`.
        """
        return cls.from_yaml(*named.read_config("architecture", "architectures", path_or_name))


def read_document(text: str, source: str) -> tuple[Architecture, dict[str, Any]]:
    """An architecture and the metadata that rides along: name, metrics, provenance.

    Raises:
        InputError: As `Architecture.from_yaml`.
    """
    document = strict_yaml.load(text, source)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise InputError(f"{source}: not an architecture: format must be {FORMAT}, got {found!r}")
    metadata = {key: document.pop(key) for key in METADATA_KEYS if key in document}
    del document["format"]
    for key in ("metrics", "provenance"):
        if not isinstance(metadata.get(key, {}), dict):
            raise InputError(f"{source}.{key}: expected a mapping, got {metadata[key]!r}")
    return schema.from_mapping(Architecture, document, source), metadata


_LATER = {"stem_stride": 2, "stem_kernel": 3, "stem_pool": False}
"""Fields that the first version did not have, and their values there."""
_LAYER = tuple(field.name for field in dataclasses.fields(Layer))
_SCALARS = tuple(field.name for field in dataclasses.fields(Architecture) if field.name != "stages")


def _layer(stage: Stage, in_channels: int, stride: int) -> Layer:
    same = in_channels == stage.channels and (stage.skip == "pool" or stride == 1)
    skip: Skip = stage.skip if same or stage.skip == "project" else "none"
    return Layer(
        op=stage.op,
        in_channels=in_channels,
        expanded_channels=stage.inner_channels if stage.op == "bottleneck" else in_channels * stage.expand,
        kernel=stage.kernel,
        stride=stride,
        out_channels=stage.channels,
        squeeze_channels=max(1, int(in_channels * stage.se)) if stage.se else 0,
        skip="identity" if same and skip == "project" else skip,
    )


def _one_of(literal: Any) -> str:
    *most, last = get_args(literal)
    return f"{', '.join(most)} or {last}"


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _as_float(value: Any) -> Any:
    """A whole number as a float, where it can be one; what is no number, or too large, is for the rules to refuse."""
    return float(value) if type(value) is int and abs(value) <= sys.float_info.max else value
