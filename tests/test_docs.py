"""What the documentation shows is run as it stands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import nas

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run(command: list[str], folder: Path, path: Path | None = None) -> str:
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{ROOT}{os.pathsep}{path}" if path else str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_python_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text("\n".join(blocks("docs/api.md")))
    run([sys.executable, "page.py"], tmp_path)
    run([sys.executable, "-m", "nas.commands.report", "runs/mine"], tmp_path)


@pytest.mark.parametrize("name", ["own_evaluator", "own_data", "search_to_network"])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    run([sys.executable, str(ROOT / "examples" / f"{name}.py"), str(tmp_path / "runs")], tmp_path)


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    cells = json.loads((ROOT / "examples" / "search.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in cells)
    (tmp_path / "notebook.py").write_text("\n\n".join(code))
    assert "finished" in run([sys.executable, "notebook.py"], tmp_path)


def test_the_page_on_own_parts_runs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("\n".join(blocks("docs/own-parts.md")))
    commands = re.findall(r"^    (nas-search .*)$", (ROOT / "docs" / "own-parts.md").read_text(), re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        words = shlex.split(command)
        module = [sys.executable, "-m", f"nas.commands.{words[0].removeprefix('nas-')}"]
        out = run([*module, *words[1:], "--quiet"], tmp_path)
        assert "Best network: runs/" in out


def test_every_public_name_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    assert [name for name in nas.__all__ if f"`{name}`" not in text and f"nas.{name}" not in text] == []


def test_the_page_of_all_flags_is_what_the_parsers_say() -> None:
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "commands.md").read_text() == module.page(), "python docs/commands.py writes it anew"


@pytest.mark.parametrize("path", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target
