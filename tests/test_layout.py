import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_space", "controller", "evaluator", "nas")
# Registries are tested by the suites that run over them.
MODULES = [
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in ("__init__.py", "registry.py")
]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_test_file(module: Path) -> None:
    assert (ROOT / "tests" / module.parent / f"test_{module.name}").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_package_files_are_docstrings_only(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        if path.relative_to(ROOT).as_posix() == "nas/__init__.py":
            continue  # the public names
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body), path


def test_tests_have_no_package_files() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_files_stay_small(module: Path) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= 300


@pytest.mark.parametrize("package", ["evaluator", "nas", "search_space"])
def test_what_proposes_lives_among_the_controllers(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        assert [c.name for c in classes if any("Controller" in ast.unparse(base) for base in c.bases)] == [], path


def test_functions_are_short() -> None:
    trees = [ast.parse((ROOT / module).read_text()) for module in MODULES]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for node in functions]
    assert statistics.median(lengths) <= 12
    assert max(lengths) <= 60
