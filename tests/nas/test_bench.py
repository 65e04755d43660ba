from __future__ import annotations

from pathlib import Path

import pytest

from nas.bench import main
from search_space.architecture import Architecture


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(f"key,accuracy\n{Architecture.load('efficientnet-b0').key},0.5\n")
    return path


def test_it_prints_a_table_and_writes_files(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--controllers", "random,evolution/paper", "--seeds", "2", "--trials", "4", "--jobs", "1"]
    assert main(["--benchmark", f"table:{table}", *options, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "networks 1" in printed
    assert "| evolution/paper" in printed
    assert len((out / "bench.csv").read_text().splitlines()) == 1 + 2 * 2 * 4
    assert (out / "bench.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--controllers", "gready"], "unknown controller 'gready'"),
        (["--controllers", "reinforce/papr"], "unknown preset of controller reinforce 'papr'"),
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--target-flops", "banana"], "banana"),
        (["--noise", "-1"], "noise must be from 0 to 1"),
    ],
)
def test_bad_input_is_one_line(
    table: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--benchmark", f"table:{table}", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
