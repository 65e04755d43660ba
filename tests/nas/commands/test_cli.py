from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from nas.commands import cli
from search_space.errors import InputError, NasError


def _raise(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("field: wrong"), 2, "field: wrong"),
        (NasError("nothing found"), 1, "nothing found"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(lambda: _raise(error)) == code
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.endswith(f": {line}\n")
    assert printed.out == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 // 0)


def test_a_result_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(lambda: cli.say("hello") or 0) == 0
    assert capsys.readouterr().out == "hello\n"


COMMANDS = ("bench", "export", "grid", "report", "scale", "search", "space", "train", "trust")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_its_version_and_completes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = importlib.import_module(f"nas.commands.{name}")._parser()
    for flags, said in (
        (["--version"], f"nas-{name} {metadata.version('nas-b0')}\n"),
        (["--completion", "bash"], "--"),
    ):
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(flags)
        assert ended.value.code == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_screen_begins_with_what_a_newcomer_needs(name: str) -> None:
    text = importlib.import_module(f"nas.commands.{name}")._parser().format_help()
    assert len(text.splitlines()[0]) < 80
    assert text.rindex("--version") > text.rindex("[options]")
    groups = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert groups[-1] == "about the command:"
    assert text.index("--help") > text.index(groups[-1])
    assert "where networks are evaluated:" not in groups[:-2]


def test_modules_run_as_commands() -> None:
    command = [sys.executable, "-m", "nas.commands.scale", "--version"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nas-scale ")
