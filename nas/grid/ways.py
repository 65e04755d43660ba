"""One baseline scaled in several ways to the same true cost: in one dimension alone, and in all three.

EfficientNet (arXiv:1905.11946, figures 3 and 8, table 7) compares such networks, which really cost 1.45B to 1.80B.
Here each way goes as far as its cost is nearest to the target, stage by stage; what its steps leave open, the image or
the channels make up.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nas.grid.coefficients import PAPER, Coefficients
from nas.grid.enumeration import fit_resolution
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError

COMPOUND = "compound"
WAYS = {
    "depth": Coefficients(alpha=2, beta=1, gamma=1),
    "width": Coefficients(alpha=1, beta=2, gamma=1),
    "resolution": Coefficients(alpha=1, beta=1, gamma=2),
    COMPOUND: PAPER,
}
"""Bases of depth, width and resolution; how far they are taken is found for each target."""
BASELINE = "baseline"
"""The way of the network that is not scaled."""
NEAR = 0.0145
"""Largest relative distance of a true cost from the target: two networks of one target differ by less than 3 %."""
_FINEST = 2000  # steps of a factor on all channels
_STEP = 0.002  # of phi, looking for a way's next network


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """One way's network at one target."""

    way: str
    aim: float
    """The target's MACs over the baseline's; 1 for the baseline itself."""
    architecture: Architecture
    ratio: float
    """True MACs over the baseline's."""
    adjusted: str = ""
    """What made up for the steps of the way's own dimensions; empty where nothing had to."""

    @property
    def name(self) -> str:
        """What it is called, and its file: ``depth-2``."""
        return self.way if self.way == BASELINE else f"{self.way}-{self.aim:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The networks that a study compares: the baseline, then every way at each target, in the order of targets."""

    candidates: tuple[Scaled, ...]

    @property
    def networks_to_train(self) -> tuple[Scaled, ...]:
        """By the numbers that proposals give them."""
        return self.candidates

    def at(self, aim: float) -> dict[int, Scaled]:
        """The networks of one target by their number."""
        return {number: scaled for number, scaled in enumerate(self.candidates) if scaled.aim == aim}


def scale_all(baseline: Architecture, ways: Sequence[str], ratios: Sequence[float]) -> Comparison:
    """The baseline and its scalings.

    Args:
        baseline: The network to scale.
        ways: Names of `WAYS`.
        ratios: Targets: multiples of the baseline's MACs, above 1, rising.

    Raises:
        InputError: A way does not reach a target.
    """
    scaled = (_scaled(baseline, way, ratio) for ratio in ratios for way in ways)
    return Comparison(candidates=(Scaled(way=BASELINE, aim=1.0, architecture=baseline, ratio=1.0), *scaled))


def _scaled(baseline: Architecture, way: str, aim: float) -> Scaled:
    base = count(baseline).macs
    macs = round(aim * base)
    try:
        phi = WAYS[way].phi_at(baseline, macs)
        near = WAYS[way].scale(baseline, phi)
        steps = (near, *_mixed(near, _beyond(WAYS[way], baseline, phi, macs)))
        nearest = min(steps, key=lambda network: abs(count(network).macs - macs))
        network, adjusted = settle(nearest, macs)
    except InputError as error:
        raise InputError(f"{way} at {aim:g} times the cost: {error}") from None
    how = ", ".join(filter(None, ("" if nearest == near else "some stages", adjusted)))
    return Scaled(way=way, aim=aim, architecture=network, ratio=count(network).macs / base, adjusted=how)


def _beyond(way: Coefficients, baseline: Architecture, phi: float, macs: int) -> Architecture:
    """The way's next network on the other side of a cost than the one at phi, which is the nearest; else that one."""
    network = near = way.scale(baseline, phi)
    step = -_STEP if count(near).macs > macs else _STEP
    try:
        while count(network).macs == count(near).macs:
            phi += step
            network = way.scale(baseline, phi)
    except InputError:  # the way ends there
        return near
    return network


def _mixed(one: Architecture, other: Architecture) -> Iterator[Architecture]:
    """Networks between two neighbours of a way: the other's layers and channels in the first or in the last stages."""
    for split in range(1, len(one.stages)):
        for front, back in ((one, other), (other, one)):
            yield dataclasses.replace(one, stages=front.stages[:split] + back.stages[split:])


def settle(network: Architecture, macs: int) -> tuple[Architecture, str]:
    """The network with its MACs within `NEAR` of `macs`, and what was changed for it, in words.

    The image is tried first, as in the grid; where strides round too coarsely, all channels are multiplied by one
    factor besides, as nearly as whole channels allow.

    Raises:
        InputError: Neither brings it there.
    """

    def away(candidate: Architecture) -> float:
        return abs(count(candidate).macs / macs - 1)

    if away(network) <= NEAR:
        return network, ""
    side = fit_resolution(network, macs, min(network.resolution, max(network.total_stride, network.resolution // 2)))
    # Where strides round coarsely, a side would have to move further than the cost asks for: then it stays.
    most = 1.5 * abs(math.sqrt(macs / count(network).macs) - 1) + 1 / network.resolution
    if abs(side.resolution / network.resolution - 1) > most:
        side = network
    sides = f"{network.resolution} to {side.resolution} px"
    if away(side) <= NEAR:
        return side, sides
    start = min((network, side), key=away)
    steps = range(_FINEST // 2, 2 * _FINEST)
    above = bisect.bisect_left(steps, macs, key=lambda step: count(_with(start, _times(start, step))).macs)
    widest = _times(start, steps[min(above, len(steps) - 1)])
    wide = min((_with(start, channels) for channels in _around(widest)), key=away)
    if away(wide) > NEAR:
        raise InputError(
            f"the nearest network's MACs are {away(wide):.1%} away, {NEAR:.2%} are allowed; name another target"
        )
    return wide, (
        "" if start is network else f"{sides}, "
    ) + f"channels x{sum(_channels(wide)) / sum(_channels(start)):.3f}"


def _channels(network: Architecture) -> tuple[int, ...]:
    """Of the stem, the stages and the head."""
    return (network.stem, *(stage.channels for stage in network.stages), network.head)


def _times(network: Architecture, step: int) -> tuple[int, ...]:
    """Its channels by a factor, rounded to whole ones: finer than the multiples of 8 that scaling keeps."""
    return tuple(max(min(1, own), math.floor(own * step / _FINEST + 0.5)) for own in _channels(network))


def _around(channels: Sequence[int]) -> Iterator[list[int]]:
    """The same channels, and with one more or less in one part or in two: the finest steps that there are."""
    parts = [part for part, number in enumerate(channels) if number]
    for first, second in itertools.combinations(parts, 2):
        for one, other in itertools.product((0, -1, 1), repeat=2):
            changed = list(channels)
            changed[first] = max(1, changed[first] + one)
            changed[second] = max(1, changed[second] + other)
            yield changed


def _with(network: Architecture, channels: Sequence[int]) -> Architecture:
    stem, *inner, head = channels
    stages = tuple(dataclasses.replace(s, channels=c) for s, c in zip(network.stages, inner, strict=True))
    return dataclasses.replace(network, stem=stem, stages=stages, head=head)
