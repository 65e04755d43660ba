"""What a search space holds, exactly: how many distinct networks, and the least and most MACs among them.

A block's layers and their cost depend on what comes before only through its number of channels (and, for the cost, its
side), so both follow by dynamic programming over the channels between blocks.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from search_space.architecture import Architecture, Stage
from search_space.block import Block
from search_space.cost import count


def count_networks(blocks: Sequence[Block], scalars: Mapping[str, tuple[Any, ...]]) -> int | None:
    """Number of distinct networks, by what is built.

    Args:
        blocks: The space's blocks.
        scalars: Choices of every field of the network other than its stages.

    Returns:
        The number; None where the end of a block may not show in the list of layers, so that two different choices
        could build the same network.
    """
    ways: dict[int, int] = dict.fromkeys(scalars["stem"], 1)
    for block in blocks:
        reached: Counter[int] = Counter()
        for in_channels, number in ways.items():
            for layers in block.by_layers(in_channels):
                reached[layers[-1].out_channels] += number
        if block is not blocks[0] and block.reference.stride == 1 and set(ways) & set(reached):
            return None
        ways = dict(reached)
    other = math.prod(len(choices) for name, choices in scalars.items() if name != "stem")
    return sum(ways.values()) * other


def macs_range(blocks: Sequence[Block], scalars: Mapping[str, tuple[Any, ...]]) -> tuple[int, int]:
    """MACs of the smallest and of the largest network."""
    ranges = [
        _range_at(blocks, *choice, head_choices=scalars["head"])
        for choice in itertools.product(scalars["resolution"], scalars["classes"], scalars["stem"])
    ]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _range_at(
    blocks: Sequence[Block], resolution: int, classes: int, stem: int, head_choices: Sequence[int]
) -> tuple[int, int]:
    side = (resolution + 1) // 2
    ends = {stem: (27 * stem * side * side,) * 2}  # channels between blocks: least and most MACs up to there
    for block in blocks:
        reached: dict[int, tuple[int, int]] = {}
        for in_channels, (low, high) in ends.items():
            for tokens in block.by_layers(in_channels).values():
                stage = block.stage(tokens)
                macs = _stage_macs(stage, in_channels, side)
                before = reached.get(stage.channels, (low + macs, high + macs))
                reached[stage.channels] = (min(before[0], low + macs), max(before[1], high + macs))
        ends = reached
        side = (side + 1) // 2 if block.reference.stride == 2 else side
    totals = [
        (low + dense, high + dense)
        for channels, (low, high) in ends.items()
        for dense in (head * (channels * side * side + classes) for head in head_choices)
    ]
    return min(low for low, _ in totals), max(high for _, high in totals)


def _stage_macs(stage: Stage, in_channels: int, side: int) -> int:
    """MACs of one stage: a network of this stage alone, less its stem, head and classifier of one channel each."""
    alone = Architecture(resolution=2 * side, stem=in_channels, stages=(stage,), head=1, classes=1)
    after = (side + 1) // 2 if stage.stride == 2 else side
    return count(alone).macs - 27 * in_channels * side * side - stage.channels * after * after - 1
