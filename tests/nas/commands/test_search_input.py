from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nas.commands.search import main
from tests.nas.commands.test_search import SUBPROCESS, TOY, events

HEADER = "format: nas-search/1\n"
NOBODY = 65534  # the user of that name


def _space_with(tmp_path: Path, text: str) -> str:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target-flops", "banana"], "target_flops: expected an amount such as 400M, 0.4B or 3.9e8, got 'banana'"),
        (["--target-flops", "0"], "target_flops: must be from 1 to 10^18, got '0'"),
        (["--target-flops", "-5M"], "target_flops: expected an amount such as 400M, 0.4B or 3.9e8, got '-5M'"),
        (["--target-flop", "5M"], "unrecognized arguments: --target-flop 5M (see nas-search --help)"),
        (["--time", "soon"], "time: expected a time above 0 such as 90s, 20m or 2h, got 'soon'"),
        (["--time", "1s"], "--time 1s is too short for 3 trainings of"),
        (["--trials", "some"], "argument --trials: invalid int value: 'some'"),
        (["--target-flops", "1K"], "outside the space efficientnet"),
        (["--target-flops", "900T"], "outside the space efficientnet"),
        ([], "target_flops: missing"),
        (["--controller", "reinforced"], "unknown controller 'reinforced' (did you mean 'reinforce'?): known are"),
        (["--evaluator", "nothing"], "unknown evaluator 'nothing': known are proxy"),
        (["--evaluator", "no_such.module:Class"], "cannot import no_such"),
        (
            ["--space", "nowhere"],
            "unknown search space 'nowhere': known are accel-nasbench, checkpoint, efficientnet",
        ),
        (["--data", "imagenot"], "unknown data 'imagenot': known are digits"),
        (["--data", "folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["--preset", "best"], "unknown preset of controller guided 'best': known are default"),
        (["--trials", "0"], "trials must be at least 1, got 0"),
        (["--set", "evaluator.epochz=3"], "unknown key 'epochz' (did you mean 'epochs'?)"),
        (["--set", "evaluator.epochs=many"], "epochs: expected a whole number, got 'many'"),
        (["--set", "evaluator.epochs"], "write it as name=value"),
        (["--set", "sped=3"], "unknown key 'sped'"),
        (["--set", "band=[2, 1]"], "band must be two rising numbers"),
        (["--exponent", "3"], "alpha must be a number from -10 to 0"),
        (["--resume", "--trust-code"], "--resume: name the run with --run-dir"),
        (["--config", "no-file.yaml"], "unknown config 'no-file.yaml'"),
        (["--config", "x" * 300], "unknown config 'xxx"),
        (["--space", "x" * 300], "unknown search space 'xxx"),
        (["--space", ":"], "unknown search space ':'"),
        (["--space", "json:loads"], "space json:loads: must have name, decisions and decode, got function"),
        (["--space", "json:JSONDecodeError"], "space json:JSONDecodeError: cannot be made: TypeError"),
        (["--evaluator", "json:loads"], "evaluator json:loads: a function must take (architecture, seed)"),
        (["--evaluator", "evaluator.base:Evaluator"], "cannot be used, it lacks presets or methods"),
        (["--controller", "controller.base:Controller"], "cannot be used, it lacks presets or methods"),
        (["--set", "trials\n=3"], "unknown key 'trials\\n'"),
        (["--set", "a\n\x1b"], "--set a\\n\\x1b: write it as name=value"),
        (["--set", "{1: 2}=3"], "unknown key '{1: 2}'"),
        (["--set", "evaluator={1: 2}"], "unknown key 1 (known: "),
        (["--set", "objective.alpha=-" + "9" * 400], "alpha: expected a number, got -999"),
        (["--set", "trials=" + "9" * 5000], "--set trials: not YAML: Exceeds the limit"),
        (["--warm-start", "x" * 300], "--warm-start xxx"),
        (["--run-dir", "/dev/null/x"], "--run-dir /dev/null/x: cannot be made, /dev/null is no folder"),
        (["--run-dir", "x" * 300], "File name too long"),
        (["--run-dir", "x" * 300, "--resume"], "no run to resume"),
    ],
)
def test_bad_flags_are_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments and "--target-flops" not in arguments:
        arguments = ["--target-flops", "400M", *arguments]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "wrong input must leave nothing behind"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "space: efficientnet\nspace: mnasnet\n", "line 3: duplicate key 'space'"),
        (HEADER + "spacy: efficientnet\n", "unknown key 'spacy' (did you mean 'space'?)"),
        (HEADER + "trials: !!python/object/apply:os.getcwd []\n", "tags (tag:yaml.org"),
        (HEADER + "trials: [1]\n", "trials: expected a whole number, got [1]"),
        (HEADER + "x: " + "[" * 5_000_000, "more than 500,000 bytes"),
        (HEADER + "x: " + "[" * 1000, "nested deeper than"),
        (HEADER + "controller: 3\n", "unknown controller '3'"),
        ("trials: 3\n", "not a search config"),
    ],
)
def test_bad_config_files_are_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert main(["--target-flops", "400M", "--config", str(tmp_path / "c.yaml"), "--run-dir", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_an_existing_run_directory_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main([*TOY, "--run-dir", str(run)]) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main([*TOY, "--run-dir", str(run)]) == 2
    assert "exists already; add --resume" in capsys.readouterr().err
    assert main(["--run-dir", str(tmp_path / "none"), "--resume", "--trust-code"]) == 2
    assert "no run to resume" in capsys.readouterr().err
    damaged = (run / "journal.jsonl").read_bytes().replace(b'"trial":3', b'"trial":4', 1)
    (run / "journal.jsonl").write_bytes(damaged)
    assert main(["--run-dir", str(run), "--resume", "--trust-code"]) == 2
    assert "line 2: damaged" in capsys.readouterr().err
    before[run / "journal.jsonl"] = damaged
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_help_answers_without_loading_torch() -> None:
    code = """
import sys, nas.commands.search
try:
    nas.commands.search.main(["--help"])
except SystemExit:
    assert "torch" not in sys.modules and "ray" not in sys.modules and "sklearn" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], env=SUBPROCESS, capture_output=True, text=True, check=True)
    assert "--target-flops" in done.stdout


def test_a_run_that_may_not_be_written_to_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        run = Path(folder) / "run"
        assert main([*TOY, "--run-dir", str(run)]) == 0
        before = events(run)
        capsys.readouterr()
        for path in (Path(folder), run, *run.iterdir()):
            path.chmod(0o555)
        if root:
            os.setresuid(NOBODY, NOBODY, 0)
        try:
            resumed = main(["--run-dir", str(run), "--resume", "--trust-code", "--quiet", "--trials", "12"])
            begun = main([*TOY, "--run-dir", f"{folder}/new"])
        finally:
            if root:
                os.setresuid(0, 0, 0)
            for path in (run, Path(folder)):
                path.chmod(0o755)
        assert (resumed, begun) == (2, 2)
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith(f"nas-search: {run}/")
        assert first.endswith(" cannot be written: Permission denied")
        assert (
            second
            == f"nas-search: --run-dir {folder}/new: cannot be made, {folder} is no folder that can be written to"
        )
        assert events(run) == before
