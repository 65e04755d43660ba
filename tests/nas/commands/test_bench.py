from __future__ import annotations

from pathlib import Path

import pytest

from nas.commands.bench import main
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
    assert "beats B0 by" in printed
    assert "| evolution/paper" in printed
    assert len((out / "bench.csv").read_text().splitlines()) == 1 + 2 * 2 * 4
    assert (out / "bench.html").exists()


def test_a_table_without_b0_is_not_set_against_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "table.csv"
    path.write_text("key,accuracy\n0123456789abcdef,0.5\n")
    options = ["--controllers", "random", "--seeds", "1", "--trials", "2", "--jobs", "1", "--out", str(tmp_path / "o")]
    assert main(["--benchmark", f"table:{path}", *options]) == 0
    printed = capsys.readouterr().out
    assert "efficientnet-b0 unknown to this benchmark" in printed
    assert "B0 by" not in printed
    assert "to B0" not in printed


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


def test_noise_is_refused_where_there_is_none_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--benchmark", "params", "--noise", "1"]) == 2
    assert "Params has no noise to set: it is no benchmark" in capsys.readouterr().err


def test_parameters_rank_the_published_networks_and_macs_do_not_within_a_band(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--rank", "--networks", "200", "--evaluator", "params"]) == 0
    macs, params = capsys.readouterr().out.splitlines()[-2:]
    taus = [[float(part.split()[-1]) for part in row.split("[")[:2]] for row in (macs, params)]
    # Over all 5,138 networks, and the 1,068 of the band.
    assert taus[0] == pytest.approx([0.44, 0.05], abs=0.10)
    assert taus[1] == pytest.approx([0.62, 0.56], abs=0.10)


@pytest.mark.slow
def test_without_a_path_it_searches_the_packaged_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures of docs/benchmarks.md; another scikit-learn may fit trees whose figures differ by less than this."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--controllers", "random", "--seeds", "1", "--trials", "50", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "imagenet: networks 5125" in printed
    assert float(printed.partition("efficientnet-b0 ")[2].partition(".\n")[0]) == pytest.approx(0.6610, abs=0.002)
    assert len(list((tmp_path / ".cache" / "nas-b0").iterdir())) == 1
