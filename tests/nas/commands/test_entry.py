from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from nas.commands import entry

ROOT = Path(__file__).parents[3]
PROGRAMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_runs_its_command(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, name = PROGRAMS[program].partition(":")
    assert (module, f"nas-{name}") == (entry.__name__, program)
    monkeypatch.setitem(sys.modules, f"nas.commands.{name}", SimpleNamespace(main=lambda: 7))
    assert getattr(entry, name)() == 7


def test_ctrl_c_while_a_command_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert entry.search() == 130
    assert capsys.readouterr().err == "nas-search: interrupted\n"
