from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nas.bench.run import Bench
from nas.commands.bench import _benchmark, _parser, main
from search_space.architecture import Architecture
from search_space.decision import Decision, canonical


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
    assert "Nothing is compared: no network that was proposed is known to table:" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--controllers", "gready"], "unknown controller 'gready'"),
        (["--controllers", "reinforce/papr"], "unknown preset of controller reinforce 'papr'"),
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--target-flops", "banana"], "banana"),
        (["--noise", "-1"], "noise must be from 0 to 1"),
        (["--first-seed", "-1"], "--first-seed must be at least 0, got -1"),
        (["--set", "seed=3"], "--set seed: must be a setting of controller, evaluator or objective"),
        (["--controllers", "random", "--set", "controller.hidden=3"], "hidden"),
        (["--space", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line(
    table: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--benchmark", f"table:{table}", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


class Pairs:
    """A space that a user wrote: B0 with the kernels of two stages, the second decided only where the first is 5."""

    name = "pairs"
    decisions = (
        Decision(name="first", choices=("3", "5")),
        Decision(name="second", choices=("3", "5", "7"), requires=((0, frozenset([1])),)),
    )

    def decode(self, tokens: Sequence[int]) -> Architecture:
        first, second = canonical(self.decisions, tokens)
        b0 = Architecture.load("efficientnet-b0")
        kernels = {1: (3, 5)[first], 2: (3, 5, 7)[second]}
        stages = [replace(stage, kernel=kernels.get(i, stage.kernel)) for i, stage in enumerate(b0.stages)]
        return replace(b0, stages=tuple(stages))


def test_a_table_of_tokens_of_a_space_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pairs_of_kernels", SimpleNamespace(Pairs=Pairs))
    table = tmp_path / "table.csv"
    table.write_text("tokens,accuracy\n0 0,0.1\n1 0,0.2\n1 1,0.3\n1 2,0.4\n")
    bench = Bench(_benchmark(_parsed("--benchmark", f"table:{table}", "--space", "pairs_of_kernels:Pairs"), ["random"]))
    run = bench.run("random", 0, None)
    assert run.tokens == (1, 2)
    assert bench.climb((0, 0)) == bench.reward(bench.space.decode((1, 2)))


def test_settings_and_seeds_are_the_users(table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--benchmark", f"table:{table}", "--set", "controller.optimism=1", "--exponent", "-0.2"]
    asked = _benchmark(_parsed(*options, "--objective", "hard", "--set", "evaluator.noise=0.01"), ["guided"])
    assert asked.controllers["guided"].settings["optimism"] == 1
    assert (asked.objective.kind, asked.objective.alpha, asked.objective.beta) == ("hard", 0.0, -0.2)
    assert asked.evaluator.settings["noise"] == 0.01
    options = ["--controllers", "random", "--seeds", "2", "--first-seed", "7", "--trials", "2", "--jobs", "1"]
    assert main(["--benchmark", f"table:{table}", *options, "--out", str(tmp_path / "out")]) == 0
    assert "seeds 7 to 8" in capsys.readouterr().out
    rows = (tmp_path / "out" / "bench.csv").read_text().splitlines()[1:]
    assert {row.split(",")[1] for row in rows} == {"7", "8"}


def _parsed(*options: str) -> argparse.Namespace:
    return _parser().parse_args(options)


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
