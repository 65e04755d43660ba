"""What the documentation shows is run as it stands."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import nas
from search_space.io import named

ROOT = Path(__file__).parents[1]
OWN_PARTS = ROOT / "docs" / "own-parts.md"


def code_of(page: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, whose modules can be imported and are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def run_script(script: Path, *arguments: str) -> None:
    """In this process: libraries that take seconds to import are there already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script.name, *arguments])
        patch.setattr(named, "_given", {})  # what a script names is not there for the tests after it
        runpy.run_path(str(script), run_name="__main__")


def run_command(line: str, *more: str) -> None:
    name, *arguments = shlex.split(line)
    module = importlib.import_module(f"nas.commands.{name.removeprefix('nas-')}")
    assert module.main([*arguments, *more]) == 0, line


def test_the_python_page_runs_from_top_to_bottom(here: Path) -> None:
    (here / "page.py").write_text(code_of(ROOT / "docs" / "api.md"))
    run_script(here / "page.py")
    run_command("nas-report runs/mine")


@pytest.mark.parametrize("name", ["own_evaluator", "own_data", "search_to_network"])
def test_an_example_runs(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    run_script(ROOT / "examples" / f"{name}.py", "results")


def test_the_notebook_runs_from_top_to_bottom(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads((ROOT / "examples" / "search.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in cells)
    (here / "notebook.py").write_text("\n\n".join(code))
    run_script(here / "notebook.py")
    assert "finished - best.yaml" in capsys.readouterr().out


def commands_on_own_parts() -> list[str]:
    return re.findall(r"^    (nas-search .*)$", OWN_PARTS.read_text(), re.MULTILINE)


def test_the_page_on_own_parts_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.py").write_text(code_of(OWN_PARTS))
    assert len(commands_on_own_parts()) == 5
    for command in commands_on_own_parts():
        run_command(command, "--quiet", "--engine", "local")
        assert "Best network: runs/" in capsys.readouterr().out


@pytest.mark.slow
def test_the_page_on_own_parts_runs_to_the_letter(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(code_of(OWN_PARTS))
    for command in commands_on_own_parts()[:2]:
        module = [sys.executable, "-m", "nas.commands.search", *shlex.split(command)[1:]]
        subprocess.run(module, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def test_every_public_name_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    assert [name for name in nas.__all__ if f"`{name}`" not in text and f"nas.{name}" not in text] == []


def help_pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_all_flags_is_what_the_parsers_say() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == help_pages().page(), "python docs/commands.py writes it anew"


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "CHANGELOG.md"], ids=lambda path: path.name)
def test_commands_on_a_page_have_only_flags_that_there_are(path: Path) -> None:
    parts = re.split(r"^## ", help_pages().page(), flags=re.MULTILINE)[1:]
    known = {part.partition("\n")[0]: set(re.findall(r"--[a-z][a-z-]*", part)) for part in parts}
    known["nas-space"] = set.union(*(flags for name, flags in known.items() if name.startswith("nas-space")))
    shown = re.findall(r"(nas-[a-z]+)\b(.*)", path.read_text().replace("\\\n", " "))
    commands = [(name, re.split(r"[`'\";|]|nas-[a-z]+ ", rest)[0]) for name, rest in shown if name in known]
    wrong = [(name, flag) for name, rest in commands for flag in re.findall(r"--[a-z][a-z-]*", rest)]
    assert [(name, flag) for name, flag in wrong if flag not in known[name]] == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "commands.md"], ids=lambda path: path.name)
def test_a_page_can_be_read_in_a_terminal(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_the_first_page_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
