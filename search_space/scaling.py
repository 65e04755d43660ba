"""Compound scaling: width, depth, resolution (EfficientNet, arXiv:1905.11946, equation 3); and miniatures."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from search_space.architecture import Architecture
from search_space.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Factors that turn a baseline into a member of its family."""

    width: float
    """Factor on the channels of stem, stages and head."""
    depth: float
    """Factor on the layers of every stage."""
    resolution: int
    """Input resolution, pixels."""
    dropout: float
    """Dropout rate before the classifier: larger networks need more."""


EFFICIENTNETS = {
    "b0": Scaling(width=1.0, depth=1.0, resolution=224, dropout=0.2),
    "b1": Scaling(width=1.0, depth=1.1, resolution=240, dropout=0.2),
    "b2": Scaling(width=1.1, depth=1.2, resolution=260, dropout=0.3),
    "b3": Scaling(width=1.2, depth=1.4, resolution=300, dropout=0.3),
    "b4": Scaling(width=1.4, depth=1.8, resolution=380, dropout=0.4),
    "b5": Scaling(width=1.6, depth=2.2, resolution=456, dropout=0.4),
    "b6": Scaling(width=1.8, depth=2.6, resolution=528, dropout=0.5),
    "b7": Scaling(width=2.0, depth=3.1, resolution=600, dropout=0.5),
    "b8": Scaling(width=2.2, depth=3.6, resolution=672, dropout=0.5),
}
"""The released family. It is not alpha ** phi: the authors chose these factors by hand."""


def round_filters(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 without losing more than a tenth; as they are at width 1."""
    if width == 1:
        return channels
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def round_repeats(layers: int, depth: float) -> int:
    """`layers` times `depth`, rounded up."""
    return math.ceil(layers * depth)


def scale(
    architecture: Architecture, width: float, depth: float, resolution: int, dropout: float | None = None
) -> Architecture:
    """A wider, deeper, larger copy; stem and head are widened as the stages are.

    Args:
        architecture: The baseline.
        width: Factor on all channels.
        depth: Factor on all numbers of layers.
        resolution: The new input resolution, pixels.
        dropout: The new dropout rate; None keeps the baseline's.

    Raises:
        InputError: A factor that is not a positive number, or a network beyond what an architecture may be.
    """
    for name, factor in (("width", width), ("depth", depth)):
        if not (math.isfinite(factor) and factor > 0):
            raise InputError(f"{name} must be a positive number, got {factor}")
    stages = tuple(
        dataclasses.replace(
            stage, channels=round_filters(stage.channels, width), layers=round_repeats(stage.layers, depth)
        )
        for stage in architecture.stages
    )
    return dataclasses.replace(
        architecture,
        resolution=resolution,
        stem=round_filters(architecture.stem, width),
        stages=stages,
        head=round_filters(architecture.head, width) if architecture.head else 0,
        dropout=architecture.dropout if dropout is None else dropout,
    )


def compound(architecture: Architecture, alpha: float, beta: float, gamma: float, phi: float) -> Architecture:
    """The architecture scaled by one coefficient (equation 3): depth alpha^phi, width beta^phi, resolution gamma^phi.

    Below 0 it shrinks by the same rules: layers are rounded up, so that every stage stays, and channels end at 8.

    Args:
        architecture: The baseline.
        alpha: Depth base, at least 1; the paper finds 1.2.
        beta: Width base, at least 1; the paper finds 1.1.
        gamma: Resolution base, at least 1; the paper finds 1.15.
        phi: How much to scale; each step of 1 is meant to double the cost. 0 keeps the baseline's factors.

    Raises:
        InputError: A base below 1, an image too small for the network's strides, or as `scale`.
    """
    for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        if not (math.isfinite(value) and value >= 1):
            raise InputError(f"{name} must be a number of at least 1, got {value}")
    if not math.isfinite(phi):
        raise InputError(f"phi must be a number, got {phi}")
    resolution = round(architecture.resolution * gamma**phi)
    least = min(architecture.total_stride, architecture.resolution)
    if resolution < least:
        raise InputError(
            f"phi {phi:g}: leaves images of {resolution} pixels, where the strides of the network need {least} or more"
        )
    scaled = scale(architecture, beta**phi, alpha**phi, resolution)
    return scaled if phi >= 0 else _no_wider(scaled, architecture)


def _no_wider(scaled: Architecture, baseline: Architecture) -> Architecture:
    """Without what rounding to a multiple of 8 has added to the baseline's channels, where they are none."""
    stages = tuple(
        dataclasses.replace(stage, channels=min(stage.channels, own.channels))
        for stage, own in zip(scaled.stages, baseline.stages, strict=True)
    )
    stem, head = min(scaled.stem, baseline.stem), min(scaled.head, baseline.head)
    return dataclasses.replace(scaled, stem=stem, stages=stages, head=head)


def efficientnet(name: str, baseline: Architecture) -> Architecture:
    """A member of the released family, ``b0`` to ``b8``, from its baseline, EfficientNet-B0.

    Raises:
        InputError: An unknown name.
    """
    if name not in EFFICIENTNETS:
        raise InputError(f"unknown family member {name!r}: known are {', '.join(EFFICIENTNETS)}")
    scaling = EFFICIENTNETS[name]
    return scale(baseline, scaling.width, scaling.depth, scaling.resolution, scaling.dropout)


def miniature(architecture: Architecture, width: float, unstrided: int, resolution: int) -> Architecture:
    """A small stand-in for short trainings, without dropout.

    Args:
        architecture: What it stands for.
        width: Factor on all channels.
        unstrided: How many of the first strided stages run at stride 1: small images would vanish in five strides.
        resolution: Its input resolution, pixels.
    """
    small = scale(architecture, width, 1.0, resolution, dropout=0.0)
    strided = [i for i, stage in enumerate(small.stages) if stage.stride == 2][:unstrided]
    stages = tuple(
        dataclasses.replace(stage, stride=1) if i in strided else stage for i, stage in enumerate(small.stages)
    )
    return dataclasses.replace(small, stages=stages)


def describe_miniature(width: float, unstrided: int, pixels: int | str | None) -> str:
    """How a `miniature` differs from the network that it stands for, in words.

    Args:
        width: As there.
        unstrided: As there.
        pixels: Its images, where they are not the network's own; None where they are.
    """
    differs = [f"{width:g} times the channels"] if width != 1 else []
    differs += [f"{pixels} pixels"] if pixels else []
    differs += [f"{unstrided} strided stage{'s' if unstrided > 1 else ''} at stride 1"] if unstrided else []
    if not differs:
        return "trained as they are deployed"
    return f"trained as miniatures ({', '.join(differs)}), which do not show what only the full size does"
