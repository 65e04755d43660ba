from __future__ import annotations

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
