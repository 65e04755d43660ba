from __future__ import annotations

import dataclasses

import pytest
from rich.table import Table

from nas.grid.published import FAMILY, OTHERS, describe_published
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.scaling import EFFICIENTNETS

B0 = Architecture.load("efficientnet-b0")


def rows(table: str | Table) -> list[list[str]]:
    assert isinstance(table, Table)
    return [list(map(str, row)) for row in zip(*(column.cells for column in table.columns), strict=True)]


def test_exact_counts_stand_beside_what_is_published() -> None:
    _, family, _, others, source = describe_published(B0)
    exact, published = rows(family), {row[0]: row for row in rows(others)}
    assert exact[0] == ["b0", "224", "385,814,752", "5,288,548", "77.1%", "93.3%", "390M", "5.3M"]
    assert exact[7] == ["b7", "600", "37,745,884,192", "66,347,960", "84.3%", "97.0%", "37B", "66M"]
    assert exact[8] == ["b8", "672", "62,597,461,568", "87,413,142", "-", "-", "-", "-"]
    assert published["ResNet-50"] == ["ResNet-50", "76.0%", "93.0%", "4.1B", "26M", "b0", "10.6", "4.9"]
    assert published["GPipe"] == ["GPipe", "84.3%", "97.0%", "-", "557M", "b7", "-", "8.4"]
    assert "1905.11946v5, table 2" in str(source)


def test_published_figures_are_those_of_the_family_rounded() -> None:
    _, family, *_ = describe_published(B0)
    for row, published in zip(rows(family), FAMILY, strict=False):
        assert int(row[3].replace(",", "")) == pytest.approx(published.params, rel=0.03)
        assert int(row[2].replace(",", "")) == pytest.approx(published.flops, rel=0.05)
    assert {row.beside for row in OTHERS} <= set(EFFICIENTNETS)


def test_another_network_has_no_published_family() -> None:
    with pytest.raises(InputError, match="--published all: the figures are of efficientnet-b0's family"):
        describe_published(dataclasses.replace(B0, classes=10))
