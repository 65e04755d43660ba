from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.grid import comparison_text as text
from nas.grid.comparison import compare_ways
from tests.nas.grid.test_comparison import COMPARED, RESULTS, settings, trained


def shown(parts: list[Any]) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    for part in parts:
        console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
    return console.export_text()


def test_the_networks_are_shown_with_their_true_costs() -> None:
    out = shown(text.describe_ways(COMPARED, settings(), "trained as they are deployed"))
    assert "27 trainings: 9 networks on 3 seeds, equal epochs" in out
    assert "Networks are trained as they are deployed" in out
    for scaled in COMPARED.candidates:
        (row,) = [line for line in out.splitlines() if line.startswith(f"{scaled.name} ")]
        assert f"{scaled.ratio:.3f}" in row
        assert all(word in out for word in scaled.adjusted.split())  # it may take several lines
    assert "trained as" not in shown(text.describe_ways(COMPARED, settings(), ""))


def test_the_spread_of_the_costs_is_said() -> None:
    lines = text.spreads(COMPARED, (2, 4))
    for ratio, line in zip((2, 4), lines, strict=True):
        costs = [scaled.ratio for scaled in COMPARED.at(ratio).values()]
        away = f"{max(costs) / min(costs) - 1:.1%}"
        assert line == f"At {ratio} times the baseline's cost, true costs are within {away} of each other"


def test_the_result_fits_a_terminal_and_says_what_is_missing(tmp_path: Path) -> None:
    found = compare_ways(trained(RESULTS), COMPARED, settings(), {})
    out = shown(text.describe_findings(tmp_path, COMPARED, settings(), found))
    assert "difference: compound's less the other's" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("compound-", "width-", "baseline"))]
    assert [row[0] for row in rows] == ["baseline", "compound-2", "width-2", "compound-4", "width-4"]
    assert rows[1][2:] == ["62.00%", "+-", "0.58%"]  # whole on one line, and no difference from itself
    assert rows[2][5:7] == ["+0.67", "points"]
    assert f"{tmp_path / 'report.html'}" in out
    assert "Not compared" not in out
    some = compare_ways(trained({n: RESULTS[n] for n in range(5)}), COMPARED, settings(), {})
    assert "Not compared, as trainings failed: 4 times" in shown(
        text.describe_findings(tmp_path, COMPARED, settings(), some)
    )
