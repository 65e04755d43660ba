from __future__ import annotations

import errno
import importlib
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from nas.commands import cli
from search_space.errors import InputError, NasError

ROOT = Path(__file__).parents[3]


def _raise(error: BaseException) -> int:
    raise error


def run(command: Callable[[], int]) -> int:
    return cli.run(cli.Parser("nas-any"), lambda _: command(), [])


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
    assert run(lambda: _raise(error)) == code
    printed = capsys.readouterr()
    assert printed.err == f"nas-any: {line}\n"
    assert printed.out == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "a\nb"), 2, "a\\nb: File name too long"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "cannot be read or written: No space left on device"),
    ],
)
def test_what_the_operating_system_refuses_is_one_line(
    error: OSError, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: _raise(error)) == code
    assert capsys.readouterr().err.rstrip("\n").partition(": ")[2] == line


def test_messages_are_one_line_of_bounded_length_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: _raise(InputError("a\nb\x1b[31m\udcff" + "x" * 100_000))) == 2
    error = capsys.readouterr().err
    assert "a\\nb\\x1b[31m\\udcffxxx" in error
    assert error.endswith("...\n")
    assert len(error) < 1100
    assert run(lambda: cli.say("two\nlines, \x1b[31mred") or 0) == 0
    assert capsys.readouterr().out == "two\nlines, \\x1b[31mred\n"


def test_an_unknown_log_level_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NAS_LOG", "verbose")
    assert run(lambda: 0) == 2
    assert "NAS_LOG must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got 'VERBOSE'" in capsys.readouterr().err


def test_a_full_output_is_one_line() -> None:
    command = [sys.executable, "-m", "nas.commands.space", "show", "mnasnet"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "nas-space: cannot be read or written: No space left on device\n"


def test_a_deleted_current_folder_is_one_line(tmp_path: Path) -> None:
    code = (
        "import os, sys; from nas.commands.space import main; gone = sys.argv[1]; os.mkdir(gone); os.chdir(gone); "
        "os.rmdir(gone); raise SystemExit(main(['show', 'mnasnet']))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "gone")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "nas-space: the current folder has been deleted; change to another\n"


def test_a_result_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: cli.say("hello") or 0) == 0
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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nas-scale ")


PROSE = (
    "This answer is worth nothing that could be shown (to measure more: nas-trust mine --budget 406%). For a real "
    "answer, on a GPU: nas-search --target-flops 400M --evaluator-preset small --data folder:DIR; as nas-train does."
)
COMMANDS = (
    "nas-trust mine --budget 406%).",
    "nas-search --target-flops 400M --evaluator-preset small --data folder:DIR;",
)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_lines_end_between_words_and_never_inside_a_command(width: int) -> None:
    lines = cli.wrapped(PROSE, width).split("\n")
    assert " ".join(lines).replace(" \\   ", " ") == PROSE
    assert max(map(len, lines)) <= width
    assert COMMANDS[0] in "\n".join(lines)
    assert any(line.endswith(COMMANDS[1]) or COMMANDS[1] in line for line in lines) is (width > 74)


def test_a_command_longer_than_a_line_goes_on_as_a_shell_takes_it() -> None:
    lines = cli.wrapped(PROSE, 60).split("\n")
    at = next(i for i, line in enumerate(lines) if line.endswith("\\"))
    assert lines[at : at + 2] == [
        "nas-search --target-flops 400M --evaluator-preset small \\",
        "  --data folder:DIR; as nas-train does.",
    ]
    taken = subprocess.run(
        ["sh", "-c", "\n".join(["echo " + lines[at], lines[at + 1]])], capture_output=True, text=True
    )
    assert taken.stdout.rstrip() == COMMANDS[1].rstrip(";")


def test_what_is_set_in_and_what_fits_stays_as_it_is() -> None:
    table = "  a row of a table that is set in and longer than the line"
    assert cli.wrapped(f"short\n{table}\n", 30) == f"short\n{table}\n"
    command = "  nas-search --run-dir a/path/of/a/run --resume --trust-code"
    assert cli.wrapped(command, 40).split("\n") == [
        "  nas-search --run-dir a/path/of/a/run \\",
        "    --resume --trust-code",
    ]
