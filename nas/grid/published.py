"""The released EfficientNets with their exact costs, beside what is published of them and of networks as accurate.

Published figures: EfficientNet, arXiv:1905.11946v5, table 2 (ImageNet, one crop, one network), rounded as there.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from nas.grid.text import plain_table
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.io.amounts import format_amount
from search_space.scaling import EFFICIENTNETS, efficientnet

SOURCE = "EfficientNet, arXiv:1905.11946v5, table 2: ImageNet, one crop, one network"


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the paper's table."""

    name: str
    beside: str
    """The member of the family that the paper groups it with; the member itself where it is one."""
    top1: float
    """Percent."""
    top5: float
    """Percent."""
    params: int
    flops: int | None
    """Multiply-adds."""


_M, _B = 10**6, 10**9
FAMILY = (
    Published("EfficientNet-B0", "b0", 77.1, 93.3, 5_300_000, 390 * _M),
    Published("EfficientNet-B1", "b1", 79.1, 94.4, 7_800_000, 700 * _M),
    Published("EfficientNet-B2", "b2", 80.1, 94.9, 9_200_000, 1 * _B),
    Published("EfficientNet-B3", "b3", 81.6, 95.7, 12 * _M, 1_800 * _M),
    Published("EfficientNet-B4", "b4", 82.9, 96.4, 19 * _M, 4_200 * _M),
    Published("EfficientNet-B5", "b5", 83.6, 96.7, 30 * _M, 9_900 * _M),
    Published("EfficientNet-B6", "b6", 84.0, 96.8, 43 * _M, 19 * _B),
    Published("EfficientNet-B7", "b7", 84.3, 97.0, 66 * _M, 37 * _B),
)
OTHERS = (
    Published("ResNet-50", "b0", 76.0, 93.0, 26 * _M, 4_100 * _M),
    Published("DenseNet-169", "b0", 76.2, 93.2, 14 * _M, 3_500 * _M),
    Published("ResNet-152", "b1", 77.8, 93.8, 60 * _M, 11 * _B),
    Published("DenseNet-264", "b1", 77.9, 93.9, 34 * _M, 6 * _B),
    Published("Inception-v3", "b1", 78.8, 94.4, 24 * _M, 5_700 * _M),
    Published("Xception", "b1", 79.0, 94.5, 23 * _M, 8_400 * _M),
    Published("Inception-v4", "b2", 80.0, 95.0, 48 * _M, 13 * _B),
    Published("Inception-ResNet-v2", "b2", 80.1, 95.1, 56 * _M, 13 * _B),
    Published("ResNeXt-101", "b3", 80.9, 95.6, 84 * _M, 32 * _B),
    Published("PolyNet", "b3", 81.3, 95.8, 92 * _M, 35 * _B),
    Published("SENet", "b4", 82.7, 96.2, 146 * _M, 42 * _B),
    Published("NASNet-A", "b4", 82.7, 96.2, 89 * _M, 24 * _B),
    Published("AmoebaNet-A", "b4", 82.8, 96.1, 87 * _M, 23 * _B),
    Published("PNASNet", "b4", 82.9, 96.2, 86 * _M, 23 * _B),
    Published("AmoebaNet-C", "b5", 83.5, 96.5, 155 * _M, 41 * _B),
    Published("GPipe", "b7", 84.3, 97.0, 557 * _M, None),
)


def describe_published(baseline: Architecture) -> list[str | Table]:
    """The family and the networks as accurate, as texts and tables.

    Args:
        baseline: EfficientNet-B0; the published figures are of no other's family.

    Raises:
        InputError: It is another network.
    """
    if baseline.key != Architecture.load("efficientnet-b0").key:
        raise InputError("--published all: the figures are of efficientnet-b0's family, not of this network's")
    return [
        "The family: exact counts, and as published",
        _family(baseline),
        "\nAs accurate, as published; x: over the exact counts of the member beside",
        _others(baseline),
        f"\nPublished: {SOURCE}; b8 came later",
    ]


def _family(baseline: Architecture) -> Table:
    table = plain_table("member", "pixels", "MACs", "parameters", "top-1", "top-5", "FLOPs", "parameters")
    published = {row.beside: row for row in FAMILY}
    for name in EFFICIENTNETS:
        network = efficientnet(name, baseline)
        cost, row = count(network), published.get(name)
        figures = ["-"] * 4 if row is None else _figures(row)
        table.add_row(name, str(network.resolution), f"{cost.macs:,}", f"{cost.params:,}", *figures)
    return table


def _others(baseline: Architecture) -> Table:
    table = plain_table("network", "top-1", "top-5", "FLOPs", "parameters", "beside", "x FLOPs", "x params")
    for row in OTHERS:
        cost = count(efficientnet(row.beside, baseline))
        ratio = "-" if row.flops is None else f"{row.flops / cost.macs:.1f}"
        table.add_row(row.name, *_figures(row), row.beside, ratio, f"{row.params / cost.params:.1f}")
    return table


def _figures(row: Published) -> list[str]:
    flops = "-" if row.flops is None else format_amount(row.flops)
    return [f"{row.top1}%", f"{row.top5}%", flops, format_amount(row.params)]
