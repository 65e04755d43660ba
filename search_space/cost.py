"""MACs and parameters of an architecture in closed form: exact integers, no network built.

A MAC is one multiply-add of a convolution or linear layer, batch 1, biases and normalisation not counted: what the
papers call FLOPs (EfficientNet-B0: 385,814,752). Profilers differ by 8 %, so the other quantities they add
(BatchNorm and pooling elements) are counted apart and any convention can be recomputed from the parts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from search_space.architecture import Architecture, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network costs, for one image. All values are exact integers."""

    conv: int
    """MACs of the stem, 1x1 and plain k x k convolutions."""
    depthwise: int
    """MACs of depthwise convolutions."""
    squeeze_excite: int
    """MACs of the two dense layers of every squeeze-excite."""
    classifier: int
    """MACs of the classifier."""
    params: int
    """Trainable parameters: weights, biases and BatchNorm's scale and shift."""
    batchnorm_elements: int
    """Output elements of all BatchNorms."""
    squeeze_excite_pool_elements: int
    """Input and output elements of the global pools inside squeeze-excite."""
    head_pool_elements: int
    """Input and output elements of the global pool before the classifier."""

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and linear layers."""
        return self.conv + self.depthwise + self.squeeze_excite + self.classifier


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a network: the stem, a stage, the head or the classifier."""

    name: str
    side: int
    """Height and width of its output, pixels."""
    channels: int
    """Of its output; the classifier's classes."""
    layers: int
    macs: int
    params: int


def count(architecture: Architecture) -> Cost:
    """The exact cost of an architecture at its resolution and number of classes.

    Padding is kernel // 2 everywhere, so that a stride of 2 halves a side and rounds up.
    """
    depthwise = squeeze_excite = se_pool = 0
    side, conv, params, norm = count_stem(architecture)
    width = architecture.stem
    for stage in architecture.stages:
        own = count_stage(stage, width, side)
        side = own[0]
        conv += own[1]
        depthwise += own[2]
        squeeze_excite += own[3]
        params += own[4]
        norm += own[5]
        se_pool += own[6]
        width = stage.channels
    head, classes, area = architecture.head, architecture.classes, side * side
    features = head or width
    return Cost(
        conv=conv + width * head * area,
        depthwise=depthwise,
        squeeze_excite=squeeze_excite,
        classifier=features * classes,
        params=params + head * (width + 2) + features * classes + classes,
        batchnorm_elements=norm + head * area,
        squeeze_excite_pool_elements=se_pool,
        head_pool_elements=features * (area + 1),
    )


def count_parts(architecture: Architecture) -> tuple[Part, ...]:
    """What `count` adds up: stem, stages, head where there is one, and classifier, in order."""
    side, stem, params, _ = count_stem(architecture)
    width = architecture.stem
    parts = [Part("stem", side, width, 1, stem, params)]
    for number, stage in enumerate(architecture.stages, 1):
        side, conv, depthwise, squeeze_excite, params, _, _ = count_stage(stage, width, side)
        macs, width = conv + depthwise + squeeze_excite, stage.channels
        parts.append(Part(f"stage {number}", side, width, stage.layers, macs, params))
    head, classes, features = architecture.head, architecture.classes, architecture.features
    if head:
        parts.append(Part("head", side, head, 1, width * head * side * side, head * (width + 2)))
    return (*parts, Part("classifier", 1, classes, 1, features * classes, features * classes + classes))


def count_stem(architecture: Architecture) -> tuple[int, int, int, int]:
    """The side that the stem leaves, its MACs, its parameters and the output elements of its BatchNorm."""
    side, width = architecture.resolution, architecture.stem
    if architecture.stem_stride == 2:
        side = (side + 1) // 2
    weights = 3 * architecture.stem_kernel**2 * width
    after = (side + 1) // 2 if architecture.stem_pool else side
    return after, weights * side * side, weights + 2 * width, width * side * side


@functools.lru_cache(maxsize=10_000)  # the networks of a search share their stages
def count_stage(stage: Stage, width: int, side: int) -> tuple[int, int, int, int, int, int, int]:
    """A stage on `width` channels of `side` x `side`: the side it leaves, then, as in `Cost`, what it adds to conv,
    depthwise, squeeze_excite, params, batchnorm_elements and squeeze_excite_pool_elements.
    """
    conv = depthwise = squeeze_excite = params = norm = se_pool = 0
    area = side * side
    out, kernel_area, ratio = stage.channels, stage.kernel * stage.kernel, stage.se
    for stride, layers in ((stage.stride, 1), (1, stage.layers - 1)):  # all but the first layer are alike
        if not layers:
            break
        in_area = area
        if stride == 2:
            side = (side + 1) // 2
            area = side * side
        gated = out
        if stage.op == "mbconv":
            gated = width * stage.expand
            if stage.expand != 1:
                conv += layers * width * gated * in_area
                norm += layers * gated * in_area
                params += layers * gated * (width + 2)
            depthwise += layers * kernel_area * gated * area
            conv += layers * gated * out * area
            norm += layers * (gated + out) * area
            params += layers * (gated * (kernel_area + 2 + out) + 2 * out)
        else:
            for weights, channels, pixels in _convolutions(stage, width, in_area, area):
                conv += layers * weights * pixels
                norm += layers * channels * pixels
                params += layers * (weights + 2 * channels)
        if ratio:
            squeeze = max(1, int(width * ratio))
            squeeze_excite += layers * 2 * gated * squeeze
            se_pool += layers * gated * (area + 1)
            params += layers * (2 * gated * squeeze + gated + squeeze)
        if stage.skip == "project" and (width != out or stride != 1):
            conv += layers * width * out * area
            norm += layers * out * area
            params += layers * out * (width + 2)
        width = out
    return side, conv, depthwise, squeeze_excite, params, norm, se_pool


def _convolutions(stage: Stage, width: int, in_area: int, area: int) -> list[tuple[int, int, int]]:
    """Weights, output channels and output pixels of the convolutions of a layer without a depthwise one."""
    out, kernel_area = stage.channels, stage.kernel * stage.kernel
    if stage.op == "basic":
        return [(kernel_area * width * out, out, area), (kernel_area * out * out, out, area)]
    if stage.op == "bottleneck":
        inner = stage.inner_channels
        return [(width * inner, inner, in_area), (kernel_area * inner * inner, inner, area), (inner * out, out, area)]
    return [(kernel_area * width * out, out, area)]  # a linear layer is a convolution of kernel 1
