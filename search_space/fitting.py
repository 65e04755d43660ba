"""A search space for the size and the budget that a network is deployed at.

A space is written around a reference network at 224 pixels. For another size or budget the reference is made wider or
narrower, so that the target stands to it as the papers' 400M stands to MobileNetV2; and where images are so small that
its strides would leave a pixel or two, the first strides become decisions.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from search_space.architecture import MOST_CHANNELS, Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.io.amounts import format_amount
from search_space.scaling import scale
from search_space.space import SearchSpace
from search_space.space_format import SpaceDocument

RESOLUTIONS = (8, 1024)
"""Sides of images that a space can be fitted to, pixels."""
AIM = 4 / 3
"""Target over the reference's MACs: 400M over MobileNetV2's 301M at 224 pixels."""
NEAR = (0.5, 1.5)
"""The reference keeps its width where the target over `AIM` is within these multiples of its MACs."""
LITTLE = 0.05
"""A known network keeps its width where it costs more than it must by no larger share."""
WIDTHS = (1 / 64, 32.0)
"""Factors that a reference can be brought to a budget by."""
LEAST_WIDTH = 0.25
"""Strides are given up only as far as the target then affords this width: below it most layers have 8 channels."""
LEAST_SIDE = 4
"""Side of the last map, pixels, that strides are given up for, about; 224 pixels and five strides leave 7."""
STEM = -1
"""The stem among the strides that may be given up; blocks have their index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a network is to see, to tell apart and to cost."""

    resolution: int | None = None
    """Height and width of its input, pixels; None for the space's own."""
    classes: int | None = None
    """Classes it tells apart; None for the space's own."""
    target_macs: int | None = None
    """Multiply-adds an image; None leaves the reference's width as it is."""


@functools.lru_cache(maxsize=16)
def fit(space: SearchSpace, deployment: Deployment) -> SearchSpace:
    """The space around its reference at a size and a budget; the same choices where both are its own.

    A search, its summary and its page ask for the same one.

    Raises:
        InputError: A size that the space's strides or decisions do not allow, or a target that no width reaches.
    """
    reference = _sized(space, deployment)
    strides = _strides_to_ask(reference, space.document)
    document = _asking(space.document, strides)
    least = _least_stride(_around(space, reference, document))
    if reference.resolution < least:
        raise InputError(
            f"resolution {reference.resolution}: the strides of the space {space.name} divide the side of an image by "
            f"{least} or more; {least} pixels are possible, or blocks that may choose stride 1"
        )
    for candidate in _candidates(reference, strides):
        fitted = candidate if deployment.target_macs is None else _at_target(candidate, deployment.target_macs)
        if width_of(fitted, reference) >= LEAST_WIDTH:
            break
    result = _around(space, fitted, document)
    return result if deployment.target_macs is None else _holding(result, reference, deployment.target_macs)


def _around(space: SearchSpace, reference: Architecture, document: SpaceDocument) -> SearchSpace:
    """A space around a reference; the one that there is where nothing is different."""
    same = reference == space.reference and document == space.document
    return space if same else SearchSpace.around(reference, document)


def check_resolution(resolution: int) -> None:
    """Hold a deployment resolution to `RESOLUTIONS`.

    Raises:
        InputError: It is outside.
    """
    low, high = RESOLUTIONS
    if not low <= resolution <= high:
        raise InputError(f"resolution must be a whole number from {low} to {high}, got {resolution}")


def fit_width(reference: Architecture, macs: int) -> Architecture:
    """The reference, wider or narrower, with MACs as near as they come."""
    return min(_neighbours(reference, macs), key=lambda network: abs(count(network).macs - macs))


def at_no_fewer(network: Architecture, macs: int) -> Architecture:
    """A known network at the least width that costs no fewer MACs; itself where it costs little more."""
    own = count(network).macs
    return network if macs <= own <= (1 + LITTLE) * macs else _neighbours(network, macs)[1]


def at_no_more(network: Architecture, macs: int) -> Architecture | None:
    """A known network at the largest width that costs no more MACs; itself where it costs little less.

    Returns:
        None where the least width costs more.
    """
    if (1 - LITTLE) * macs <= count(network).macs <= macs:
        return network
    below = _neighbours(network, macs)[0]
    return below if count(below).macs <= macs else None


def on_fewer_pixels(network: Architecture, macs: int) -> Architecture | None:
    """A known network on the largest images, no larger than its own, on which it costs no more MACs.

    Returns:
        None where the smallest images cost more.
    """
    for side in range(network.resolution, RESOLUTIONS[0] - 1, -1):
        smaller = dataclasses.replace(network, resolution=side)
        if count(smaller).macs <= macs:
            return smaller
    return None


def with_fewer_strides(network: Architecture, macs: int) -> Architecture | None:
    """A known network as spaces that follow the size treat their reference, and as `at_no_fewer`.

    As many of its first strides are left out as its last map can spare, and the budget affords at `LEAST_WIDTH`.

    Returns:
        None where the image is large enough for all its strides, or the budget affords no fewer.
    """
    for candidate in _candidates(network, _strides_of(network)):
        fitted = at_no_fewer(candidate, macs)
        if width_of(fitted, network) >= LEAST_WIDTH:
            return fitted if candidate != network else None
    return None


def _neighbours(reference: Architecture, macs: int) -> tuple[Architecture, Architecture]:
    """The reference at the widths just below and just above a cost."""
    low, high = WIDTHS
    high = min(high, MOST_CHANNELS / reference.features - 1)  # rounding adds some
    for _ in range(40):  # MACs rise with the width, in steps of 8 channels
        middle = math.sqrt(low * high)
        low, high = (middle, high) if count(_widened(reference, middle)).macs < macs else (low, middle)
    return _widened(reference, low), _widened(reference, high)


def width_of(architecture: Architecture, reference: Architecture) -> float:
    """The factor on the reference's channels, by its last layer: narrower ones are rounded by more."""
    return architecture.features / reference.features


def _sized(space: SearchSpace, deployment: Deployment) -> Architecture:
    """The space's reference at the deployment's size."""
    own = {name: value for name in ("resolution", "classes") if (value := getattr(deployment, name)) is not None}
    if deployment.resolution is not None:
        check_resolution(deployment.resolution)
    if "resolution" in own and "resolution" in space.network:
        raise InputError(f"resolution {own['resolution']}: the space {space.name} decides the resolution itself")
    return dataclasses.replace(space.reference, **own)


def strides_to_spare(reference: Architecture) -> int:
    """How many of its strides a network can do without, for its last map to keep about `LEAST_SIDE` pixels a side."""
    return max(0, round(math.log2(reference.total_stride * LEAST_SIDE / reference.resolution)))


def _strides_to_ask(reference: Architecture, document: SpaceDocument) -> list[int]:
    """Which strides become decisions: two more than can be spared, from the first on; none where the space decides."""
    spare = strides_to_spare(reference)
    own = any("stride" in given for given in (document.choices, *document.blocks.values()))
    if not spare or own or "stem_stride" in document.network:
        return []
    return _strides_of(reference)[: spare + 2]


def _strides_of(network: Architecture) -> list[int]:
    """Where it strides, from the first on."""
    stem = [STEM] if network.stem_stride == 2 else []
    return [*stem, *(i for i, stage in enumerate(network.stages) if stage.stride == 2)]


def _asking(document: SpaceDocument, strides: Sequence[int]) -> SpaceDocument:
    """The document with these strides as decisions."""
    network, blocks = dict(document.network), {name: dict(given) for name, given in document.blocks.items()}
    for index in strides:
        if index == STEM:
            network["stem_stride"] = (1, 2)
        else:
            blocks.setdefault(f"block{index + 1}", {})["stride"] = [1, 2]
    return dataclasses.replace(document, network=network, blocks=blocks)


def _candidates(reference: Architecture, strides: Sequence[int]) -> list[Architecture]:
    """The reference without some of its strides, in a row: as many as can be spared first, the earliest first."""
    spare = strides_to_spare(reference) if strides else 0
    rows = [
        strides[start : start + number]
        for number in range(min(spare, len(strides)), 0, -1)
        for start in range(len(strides) - number + 1)
    ]
    return [*(_without(reference, row) for row in rows), reference]


def _without(reference: Architecture, strides: Sequence[int]) -> Architecture:
    stages = tuple(
        dataclasses.replace(stage, stride=1) if index in strides else stage
        for index, stage in enumerate(reference.stages)
    )
    return dataclasses.replace(reference, stages=stages, stem_stride=1 if STEM in strides else reference.stem_stride)


def _at_target(reference: Architecture, macs: int) -> Architecture:
    """The reference, at the width that the target asks for where its own is not near."""
    low, high = NEAR
    if low <= macs / (AIM * count(reference).macs) <= high:
        return reference
    return fit_width(reference, round(macs / AIM))


def _least_stride(space: SearchSpace) -> int:
    """What the space's networks divide the side of an image by, at least."""
    stem: int = min(space.network.get("stem_stride", (space.reference.stem_stride,)))
    return stem * (1 + space.reference.stem_pool) * math.prod(min(block.strides()) for block in space.blocks)


def _holding(space: SearchSpace, reference: Architecture, macs: int) -> SearchSpace:
    """The space, or where it is so narrow that it misses the target, that around a reference that just reaches it.

    Raises:
        InputError: The target is outside even so; what is possible.
    """
    if _holds(space, macs):
        return space
    exact = SearchSpace.around(_neighbours(space.reference, macs)[1], space.document)
    if _holds(exact, macs):
        return exact
    ends = [SearchSpace.around(_widened(reference, width), space.document).macs_range() for width in WIDTHS]
    low, high = ends[0][0], ends[1][1]
    if low <= macs <= high:
        low, high = exact.macs_range()
    raise InputError(
        f"{macs:,} MACs is outside the space {space.name} at {reference.resolution} pixels and {reference.classes} "
        f"classes: {format_amount(low)} to {format_amount(high)}"
    )


def _holds(space: SearchSpace, macs: int) -> bool:
    low, high = space.macs_range()
    return low <= macs <= high


def _widened(reference: Architecture, width: float) -> Architecture:
    return scale(reference, width, 1.0, reference.resolution)
