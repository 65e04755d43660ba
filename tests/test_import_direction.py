"""Imports go one way, and each package knows only those below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("nas.commands", "nas.api"),
    ("nas.report", "nas.trust", "nas.training"),
    ("nas.runs",),
    ("nas.grid", "nas.bench", "nas.export"),
    ("nas.study", "nas.async_study", "nas.history", "nas.config", "nas.problem", "nas.progress"),
    ("nas.engines",),
    ("controller", "evaluator"),
    ("nas.journal", "nas.statistics"),
    ("search_space",),
)
"""From the top down; what shares a line may not import each other, apart from the loop's own modules."""
TOGETHER = {"nas.study", "nas.async_study", "nas.history", "nas.config", "nas.problem", "nas.progress"}
FILES = [
    path
    for package in ("search_space", "controller", "evaluator", "nas")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.relative_to(ROOT).as_posix() != "nas/__init__.py"
]


def imported_modules(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def place(module: str) -> tuple[int, str] | None:
    """The layer of a module and the package that it belongs to there; None for other people's."""
    for depth, layer in enumerate(LAYERS):
        for package in layer:
            if module == package or module.startswith(f"{package}."):
                return depth, package
    assert module.partition(".")[0] not in ("nas", "controller", "evaluator", "search_space"), f"{module} has no place"
    return None


def forbidden(module: str, source: str) -> set[str]:
    here = place(module)
    assert here is not None
    wrong = set()
    for name in imported_modules(source):
        there = None if name.startswith(".") else place(name)
        sideways = there and there[0] == here[0] and there[1] != here[1] and not {here[1], there[1]} <= TOGETHER
        if name.startswith(".") or (there and (there[0] < here[0] or sideways)):
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    assert forbidden(module, path.read_text()) == set()


def test_a_wrong_edge_is_seen() -> None:
    assert forbidden("search_space.cost", "def f():\n    from nas.study import Study") == {"nas.study.Study"}
    assert forbidden("controller.base", "import evaluator.base") == {"evaluator.base"}
    assert forbidden("controller.base", "from . import base") == {"..base"}
    assert forbidden("nas.report.page", "from nas.commands import cli") == {"nas.commands.cli"}
    assert forbidden("nas.report.page", "from nas.trust.plan import make_plan") == {"nas.trust.plan.make_plan"}
    assert forbidden("nas.study", "from nas.journal import Journal") == set()


def test_nothing_goes_in_a_circle() -> None:
    edges = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): imported_modules(path.read_text()) for path in FILES
    }
    modules = set(edges)
    graph = {
        module: {m for name in names for m in (name, name.rpartition(".")[0]) if m in modules and m != module}
        for module, names in edges.items()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above, module))
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_a_folder_fits_on_a_screen() -> None:
    for folder in {path.parent for path in FILES}:
        entries = [entry.name for entry in folder.iterdir() if entry.name != "__pycache__"]
        assert len(entries) <= 20, (folder, sorted(entries))
