import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "search_space": {"search_space"},
    "controller": {"controller", "search_space"},
    "evaluator": {"evaluator", "search_space"},
    "nas": {"nas", "controller", "evaluator", "search_space"},
}
FILES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def imported_modules(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {"." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)}


def forbidden(package: str, source: str) -> set[str]:
    names = imported_modules(source)
    wrong = {name for name in names if name.split(".")[0] in ALLOWED.keys() - ALLOWED[package]}
    relative = {name for name in names if name.startswith(".")}
    return wrong | relative


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    assert forbidden(path.relative_to(ROOT).parts[0], path.read_text()) == set()


def test_a_wrong_edge_is_seen() -> None:
    assert forbidden("search_space", "def f():\n    from nas.study import Study") == {"nas.study"}
    assert forbidden("controller", "import evaluator.base") == {"evaluator.base"}
    assert forbidden("controller", "from . import base") == {"."}
