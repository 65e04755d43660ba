"""The released EfficientNets beside published networks as one HTML page: accuracy over cost and over parameters."""

from __future__ import annotations

from typing import Any

from nas.grid.published import FAMILY, OTHERS, SOURCE, Published
from nas.report.page import CHARTS, html
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io.amounts import format_amount
from search_space.scaling import efficientnet

TITLE = "EfficientNets beside published networks"


def render(baseline: Architecture) -> str:
    """The page.

    Args:
        baseline: EfficientNet-B0.
    """
    family = [_point(row, count(efficientnet(row.beside, baseline)).macs, baseline) for row in FAMILY]
    others = [_point(row, row.flops, None) for row in OTHERS]
    rows = sorted([*family, *others], key=lambda point: (point["top1"], -point["params"]))
    return html(
        "published.html",
        (*CHARTS, "published.js"),
        TITLE,
        {"family": family, "others": others},
        rows=[_cells(point) for point in rows],
        source=SOURCE,
    )


def _point(row: Published, macs: int | None, baseline: Architecture | None) -> dict[str, Any]:
    """A network on the charts; its parameters are exact where it is of the baseline's family."""
    params = row.params if baseline is None else count(efficientnet(row.beside, baseline)).params
    return {"name": row.name, "top1": row.top1, "macs": macs, "params": params, "exact": baseline is not None}


def _cells(point: dict[str, Any]) -> list[str]:
    macs, params = point["macs"], point["params"]
    if point["exact"]:
        return [point["name"], f"{point['top1']}%", f"{macs:,}", f"{params:,}"]
    return [point["name"], f"{point['top1']}%", "-" if macs is None else format_amount(macs), format_amount(params)]
