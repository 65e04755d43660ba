"""Tables on a terminal of any width: no cell is cut off, and nothing but names is broken, between words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

UNBOUNDED = 10_000
"""Columns of what is no terminal: a file's lines end where the table's do."""

GAP = 2
"""Columns of a terminal between those of a table."""


def fitted(table: Table, console: Console) -> list[Table]:
    """The table, or parts of it one below the other: each has the first column and as many others as fit.

    Args:
        table: Of plain texts; its first column names the rows.
        console: Where it is to be shown.
    """
    parts: list[list[int]] = [[]]
    for place in range(1, len(table.columns)):
        if parts[-1] and _narrowest(table, [*parts[-1], place]) > console.width:
            parts.append([])
        parts[-1].append(place)
    return [_part(table, part) for part in parts]


def _part(table: Table, places: Sequence[int]) -> Table:
    """The first column, whose names may be broken between words, and those at `places`, which may not."""
    part = Table(box=None, pad_edge=False)
    columns = [table.columns[place] for place in (0, *places)]
    for place, column in enumerate(columns):
        part.add_column(column.header, justify=column.justify, no_wrap=place > 0)
    for row in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*row)
    return part


def _narrowest(table: Table, places: Sequence[int]) -> int:
    """The columns of a terminal that a part needs, with its names a word a line."""
    names = [word for name in _texts(table.columns[0]) for word in name.split()]
    cells = [max(map(cell_len, _texts(table.columns[place]))) for place in places]
    return max(map(cell_len, names)) + sum(GAP + cell for cell in cells)


def _texts(column: Column) -> list[str]:
    return [str(text) for text in (column.header, *column.cells)]
