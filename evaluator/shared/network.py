"""The weights that all networks of a search space share.

ENAS (arXiv:1802.03268) and single-path one-shot search (arXiv:1904.00420): one set of weights, of which each network
uses a part. A layer's weights belong to its block, its place in the block, its operator and its kernel. Expansions,
channels and squeeze widths are slices from the front of the widest; the layers of a shallow block are the first of a
deep one; every choice of squeeze-excite has weights of its own. A layer with a shortcut has a last scale and shift of
its own, so that it starts as the identity, and one without does not start as nothing.

A network is made as any other, and its parameters are views of the shared weights: what it computes is what
`search_space.builder` says, and to train it is to train them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from search_space.architecture import Architecture, Layer, Stage
from search_space.block import built_layers
from search_space.cpu_layers import pointwise
from search_space.layers import SqueezeExcite, activate, batch_norm, build_layer, conv, initialize
from search_space.scaling import miniature, round_filters
from search_space.space import SearchSpace

CLASSIFIER_SCALE = 0.03  # as in search_space/layers.py: the usual classifier starts ten classes at a loss of 5
_LAST_NORM = {"mbconv": "bn3", "separable": "bn2", "basic": "bn2", "bottleneck": "bn3"}
"""BatchNorm that a layer's branch ends with, by its kind, where no activation follows before the shortcut is added."""
_RESIDUAL = "residual"
"""Such a layer's last BatchNorm where it has a shortcut: it starts at zero, which would cut off a layer without."""


class Named(NamedTuple):
    """A layer and where its weights are."""

    name: str
    """Of its weights."""
    ratio: float
    """Of its squeeze-excite."""
    layer: Layer

    def shared(self, name: str) -> str:
        """The shared name of one of the layer's own parameters."""
        module, dot, rest = name.partition(".")
        if module == "se":
            module = _squeeze_name(self.ratio)
        elif self.layer.skip != "none" and module == _LAST_NORM.get(_kind(self.layer)):
            module = _RESIDUAL
        return f"layers.{self.name}.{module}{dot}{rest}"


class _Widest:
    """The widest layer of those that share their weights."""

    def __init__(self, layer: Layer) -> None:
        self.layer = dataclasses.replace(layer, squeeze_channels=0, skip="none")
        self.squeeze: dict[float, int] = {}

    def add(self, layer: Layer, stage: Stage) -> None:
        """Make room for another, of a stage whose ratio of squeeze-excite has weights of its own."""
        sizes = ("in_channels", "expanded_channels", "out_channels")
        widest = {name: max(getattr(self.layer, name), getattr(layer, name)) for name in sizes}
        self.layer = dataclasses.replace(self.layer, **widest)
        if stage.se:
            self.squeeze[stage.se] = max(self.squeeze.get(stage.se, 0), layer.squeeze_channels)
        if stage.skip == "project":  # where channels or stride ask for it
            self.layer = dataclasses.replace(self.layer, skip="project")

    def module(self) -> nn.Module:
        """Its weights, those of every squeeze-excite, and the last scale and shift of a residual branch."""
        module = build_layer(self.layer, "relu", 0.0)
        if _kind(self.layer) in _LAST_NORM:
            module.add_module(_RESIDUAL, batch_norm(self.layer.out_channels))
        gated = self.layer.expanded_channels if self.layer.op == "mbconv" else self.layer.out_channels
        for ratio, squeeze in sorted(self.squeeze.items()):
            module.add_module(_squeeze_name(ratio), SqueezeExcite(gated, squeeze, "relu"))
        return module


class SharedNetwork:
    """A space's shared weights: where each network finds its own in one long vector.

    Attributes:
        size: Number of weights.
        alternatives: Most layers, each with weights of its own, that one place is chosen among.
        key: Equal where the weights of one are of use to the other.
    """

    def __init__(self, space: SearchSpace, *, width: float, unstrided: int, resolution: int, classes: int) -> None:
        """Lay out the weights of the space's networks in small: see `search_space.scaling.miniature`.

        Args:
            space: One of ours.
            width: Factor on all channels.
            unstrided: How many of the first strided stages run at stride 1.
            resolution: Side of the images.
            classes: Outputs.
        """
        self.space = space
        self.width = width
        self.unstrided = unstrided
        self.resolution = resolution
        self.classes = classes
        places = Counter(name.rpartition("_")[0] for name in self._survey()[1])
        self.alternatives = max(places.values())
        with torch.device("meta"):
            shapes = {name: parameter.shape for name, parameter in self._all_weights().named_parameters()}
        ends = list(itertools.accumulate(map(math.prod, shapes.values())))
        starts = [0, *ends[:-1]]
        self._places = {name: (start, shape) for (name, shape), start in zip(shapes.items(), starts, strict=True)}
        self.size = ends[-1]
        sizes = sorted((name, *shape) for name, shape in shapes.items()), width, unstrided, resolution, classes
        self.key = hashlib.sha256(repr(sizes).encode()).hexdigest()[:16]

    def measured(self, architecture: Architecture) -> Architecture:
        """What is built in the place of a network of the space."""
        small = miniature(architecture, self.width, self.unstrided, self.resolution)
        return dataclasses.replace(small, classes=self.classes)

    def initial(self, generator: torch.Generator) -> Tensor:
        """(size,) weights to start from: EfficientNet's, but the classifier near zero, and residual layers as the
        identity: so all networks begin alike."""
        with torch.device("meta"):
            modules = self._all_weights()
        modules.to_empty(device="cpu")
        initialize(modules, generator)
        weights = torch.cat([parameter.detach().flatten() for parameter in modules.parameters()])
        self.view(weights, "classifier.weight").mul_(CLASSIFIER_SCALE)
        for name in self._places:
            if name.endswith(f".{_RESIDUAL}.weight"):
                self.view(weights, name).zero_()
        return weights

    def layers(self, architecture: Architecture) -> tuple[Architecture, list[Named]]:
        """The network that is `measured`, and its layers in order.

        Raises:
            InputError: The space does not contain it.
        """
        tokens = self.space.encode(architecture)
        small = self.measured(self.space.decode(tokens))
        blocks = zip(self.space.blocks, self.space.block_stages(tokens), strict=True)
        present = [block.name for block, stage in blocks if stage is not None]
        return small, [
            Named(_name(block, place, layer), stage.se, layer)
            for block, stage, layers in zip(present, small.stages, small.stage_layers(), strict=True)
            for place, layer in enumerate(layers)
        ]

    def view(self, weights: Tensor, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """The front of one of the widest tensors, `shape` of it or all: a view of (size,) weights."""
        start, widest = self._places[name]
        part = weights[start : start + math.prod(widest)].view(widest)
        for dim, length in enumerate(shape or ()):
            part = part.narrow(dim, 0, length)
        return part

    def names(self) -> list[str]:
        """Of all widest tensors."""
        return list(self._places)

    def _survey(self) -> tuple[int, dict[str, _Widest], int]:
        """Channels of the widest stem; the widest layer of each name; channels of the widest last layer."""
        channels = stems = {round_filters(stem, self.width) for stem in self._choices("stem")}
        widest: dict[str, _Widest] = {}
        for block in self.space.blocks:
            built = {stage for tokens in block.all_tokens() if (stage := block.stage(tokens))}
            stages = {
                dataclasses.replace(stage, channels=round_filters(stage.channels, self.width), stride=1)
                for stage in built
            }
            for in_channels, stage in itertools.product(channels, stages):
                for place, layer in enumerate(built_layers(stage, in_channels)):
                    name = _name(block.name, place, layer)
                    widest.setdefault(name, _Widest(layer)).add(layer, stage)
            channels = {stage.channels for stage in stages} | (channels if block.optional else set())
        return max(stems), dict(sorted(widest.items())), max(channels)

    def _choices(self, field: str) -> tuple[int, ...]:
        """Of a field of the network."""
        return self.space.network.get(field, (getattr(self.space.reference, field),))

    def _all_weights(self) -> nn.Module:
        """Modules that hold every widest tensor under its name; not a network."""
        stem, layers, last = self._survey()
        heads = [round_filters(head, self.width) if head else 0 for head in self._choices("head")]
        modules = nn.Module()
        modules.conv_stem, modules.bn1 = conv(3, stem, self.space.reference.stem_kernel), batch_norm(stem)
        modules.layers = nn.ModuleDict({name: widest.module() for name, widest in layers.items()})
        if head := max(heads):
            modules.conv_head, modules.bn2 = conv(last, head), batch_norm(head)
        modules.classifier = nn.Linear(max(head or last for head in heads), self.classes)
        return modules


def _kind(layer: Layer) -> str:
    """What decides which tensors a layer has."""
    return "separable" if layer.op == "mbconv" and not layer.has_expansion else layer.op


def _name(block: str, place: int, layer: Layer) -> str:
    return f"{block}_{place}_{_kind(layer)}{layer.kernel}"


def _squeeze_name(ratio: float) -> str:
    return f"se{ratio}".replace(".", "_")


class Paths:
    """The networks of one set of shared weights.

    A network is a chain of parts: stem, layers, head. Parts are kept, so networks that share a layer share its module.
    """

    def __init__(self, shared: SharedNetwork, weights: Tensor) -> None:
        """Build on `weights` (size,), of which parameters are views: they change with it, and it with them."""
        self.shared = shared
        self.weights = weights
        self._parts: dict[object, nn.Module] = {}

    def network(self, architecture: Architecture) -> nn.Sequential:
        """The network that is `measured`, in training mode: images (B, 3, H, W) to logits (B, classes).

        BatchNorm uses the statistics of each batch and keeps none: those of other networks would not be its own.

        Raises:
            InputError: The space does not contain it.
        """
        small, layers = self.shared.layers(architecture)
        activation, last = small.activation, layers[-1].layer.out_channels
        chain = [self._part(("stem", small.stem, small.stem_stride, activation), partial(_Stem, small))]
        for named in layers:
            build = partial(build_layer, named.layer, activation, 0.0)
            chain.append(self._part((named, activation), build, named.shared))
        chain.append(self._part(("head", last, small.head, activation), partial(_Head, small, last)))
        return nn.Sequential(*chain)

    def _part(self, key: object, build: Callable[[], nn.Module], rename: Callable[[str], str] = str) -> nn.Module:
        """A part, its parameters views of the weights that have the new names."""
        if key not in self._parts:
            with torch.random.fork_rng(devices=[]):  # made in a quarter of the time that the meta device takes
                part = build()
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.track_running_stats = False
                    module.running_mean = module.running_var = module.num_batches_tracked = None
            views = {
                name: self.shared.view(self.weights, rename(name), tuple(parameter.shape))
                for name, parameter in part.named_parameters()
            }
            part.load_state_dict(views, assign=True)
            self._parts[key] = part
        return self._parts[key]


class _Stem(nn.Module):
    """What `search_space.builder.Network` begins with."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.conv_stem = conv(3, architecture.stem, architecture.stem_kernel, architecture.stem_stride)
        self.bn1 = batch_norm(architecture.stem)
        self.act1 = activate(architecture.activation)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if architecture.stem_pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C, H', W')."""
        x = self.pool(self.act1(self.bn1(self.conv_stem(x))))
        return x


class _Head(nn.Module):
    """What `search_space.builder.Network` ends with, without dropout."""

    def __init__(self, architecture: Architecture, in_channels: int) -> None:
        super().__init__()
        self.has_head = architecture.head > 0
        if self.has_head:
            self.conv_head = conv(in_channels, architecture.head)
            self.bn2 = batch_norm(architecture.head)
            self.act2 = activate(architecture.activation)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(architecture.features, architecture.classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, classes)."""
        if self.has_head:
            x = self.act2(self.bn2(pointwise(self.conv_head, x)))
        x = self.classifier(self.global_pool(x).flatten(1))
        return x
