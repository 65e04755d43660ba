from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from nas.commands.tables import fitted

ROWS = [
    ("mobilenet-v2 at width 0.29, stride 8", "79.20% [78.1, 80.3]", "1,045,872"),
    ("best (trial 2)", "93.87% [92.9, 95.0]", "991,536"),
]


def shown(width: int) -> list[list[str]]:
    """Lines of each part."""
    table = Table(box=None, pad_edge=False)
    table.add_column("network")
    for name in ("accuracy", "MACs"):
        table.add_column(name, justify="right")
    for row in ROWS:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=width)
    parts = []
    for part in fitted(table, console):
        with console.capture() as capture:
            console.print(part)
        parts.append(capture.get().splitlines())
    return parts


@pytest.mark.parametrize("width", [33, 40, 50, 80])
def test_no_line_is_beyond_the_width_and_no_cell_is_cut(width: int) -> None:
    parts = shown(width)
    text = "\n".join(line for part in parts for line in part)
    assert max(len(line) for part in parts for line in part) <= width
    assert "\u2026" not in text
    for cell in (cell for row in ROWS for cell in row[1:]):
        assert text.count(cell) == 1
    for word in ROWS[0][0].split():
        assert word in text.split()


def test_what_does_not_fit_beside_the_names_stands_below_with_them_again() -> None:
    assert len(shown(80)) == len(shown(44)) == 1
    first, second = shown(33)
    assert first[0].split() == ["network", "accuracy"]
    assert second[0].split() == ["network", "MACs"]
    assert second[-1].split() == ["best", "(trial", "2)", "991,536"]
