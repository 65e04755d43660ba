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

from search_space.architecture import Architecture
from search_space.block import Block
from search_space.cost import count_stage, count_stem


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
                reached[layers[-1].out_channels if layers else in_channels] += number
        if block.optional or (block is not blocks[0] and 1 in block.strides() and set(ways) & set(reached)):
            return None
        ways = dict(reached)
    other = math.prod(len(choices) for name, choices in scalars.items() if name != "stem")
    return sum(ways.values()) * other


def macs_range(blocks: Sequence[Block], scalars: Mapping[str, tuple[Any, ...]]) -> tuple[int, int]:
    """MACs of the smallest and of the largest network."""
    names = ("resolution", "classes", "stem", "stem_stride", "stem_kernel", "stem_pool")
    ranges = [
        _range_at(blocks, dict(zip(names, values, strict=True)), scalars["head"])
        for values in itertools.product(*(scalars[name] for name in names))
    ]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _range_at(blocks: Sequence[Block], fields: Mapping[str, Any], head_choices: Sequence[int]) -> tuple[int, int]:
    frame = Architecture(stages=(blocks[0].reference,), **fields)
    side, stem_macs, _, _ = count_stem(frame)
    # Channels and side between blocks: least and most MACs up to there.
    ends = {(frame.stem, side): (stem_macs, stem_macs)}
    for block in blocks:
        reached: dict[tuple[int, int], tuple[int, int]] = {}
        for (in_channels, side), (low, high) in ends.items():
            for tokens in block.by_layers(in_channels).values():
                end, macs = (in_channels, side), 0
                if stage := block.stage(tokens):
                    after, *parts = count_stage(stage, in_channels, side)
                    end, macs = (stage.channels, after), sum(parts[:3])
                before = reached.get(end, (low + macs, high + macs))
                reached[end] = (min(before[0], low + macs), max(before[1], high + macs))
        ends = reached
    totals = [
        (low + dense, high + dense)
        for (channels, side), (low, high) in ends.items()
        for head in head_choices
        for dense in (channels * head * side * side + (head or channels) * frame.classes,)
    ]
    return min(low for low, _ in totals), max(high for _, high in totals)
