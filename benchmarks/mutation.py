"""How many small faults the tests would notice: one change of the source at a time, and its mirrored test file.

    python benchmarks/mutation.py --sample 120 --out mutants.jsonl       (or: make mutation)
    python benchmarks/mutation.py controller/halving.py --list

Each mutant changes one comparison, operator, number, condition, minimum or maximum, or leaves out one statement, in a
copy of the tree; the tests that stand at the same place under tests/ must fail on it. Defaults of settings, constants
of modules and texts are left alone: what they should be is tuned, not tested. A line a mutant is appended to `--out` as
it ends, and a run that goes on with the same file leaves out what stands there.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = (
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "controller").glob("*.py")),
    *("evaluator/objective.py", "evaluator/proxy.py", "evaluator/short_training.py", "evaluator/training.py"),
    *("nas/study.py", "nas/journal.py"),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "nas" / "trust").glob("*.py")),
)
COPIED = ("search_space", "controller", "evaluator", "nas", "configs", "tests", "pyproject.toml")
SWAPS: dict[type, type] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.And: ast.Or, ast.Or: ast.And},
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "argmax": "argmin"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    start: int
    """First changed character of the file."""
    before: str
    after: str


def mutants(file: str) -> list[Mutant]:
    """All changes of a file, in order."""
    source = (ROOT / file).read_text(encoding="utf-8")
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in _code(ast.parse(source)):
        for changed in _changes(node):
            before = ast.get_source_segment(source, node)
            assert before is not None
            start = starts[node.lineno - 1] + len(
                source.splitlines()[node.lineno - 1].encode()[: node.col_offset].decode()
            )
            found.append(Mutant(file, node.lineno, start, before, changed))
    return found


def _code(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Statements and expressions inside functions, without texts, annotations, asserts and what is raised."""
    skipped = (ast.AnnAssign, ast.Assert, ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)

    def visit(node: ast.AST, inside: bool) -> Iterator[ast.expr | ast.stmt]:
        if isinstance(node, skipped) and not (inside and isinstance(node, ast.AnnAssign)):
            return
        if inside and isinstance(node, ast.expr | ast.stmt):
            yield node
        children: Iterator[ast.AST] = ast.iter_child_nodes(node)
        if isinstance(node, ast.FunctionDef):
            children, inside = iter(node.body), True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "round":
            children = iter(node.args[:1])  # how many digits are shown decides nothing
        elif isinstance(node, ast.AnnAssign):
            children = iter([node.value] if node.value else [])
        for child in children:
            yield from visit(child, inside)

    yield from visit(tree, False)


def _changes(node: ast.AST) -> Iterator[str]:
    """What a node may become, as source."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[operator]) if type(operator) in SWAPS:
            new.ops = [SWAPS[type(operator)]()]
        case ast.BinOp(op=operator) | ast.BoolOp(op=operator) if type(operator) in SWAPS and not _is_text(new):
            new.op = SWAPS[type(operator)]()
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            new = new.operand
        case ast.IfExp():
            new.body, new.orelse = new.orelse, new.body
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int(value) | float(value)):
            new.value = 2 * value if value else 1
        case ast.Call(func=ast.Name(id=name) as function) if name in NAMES:
            function.id = NAMES[name]
        case ast.Call(func=ast.Attribute(attr=name) as function) if name in NAMES:
            function.attr = NAMES[name]
        case ast.Expr(value=ast.Call()):
            new = ast.Pass()
        case ast.AugAssign():
            new = ast.Pass()
        case _:
            return
    yield (
        f"({ast.unparse(new)})" if isinstance(new, ast.expr) and not isinstance(new, ast.Constant) else ast.unparse(new)
    )


def _is_text(node: ast.AST) -> bool:
    return any(isinstance(n, ast.JoinedStr) or isinstance(getattr(n, "value", None), str) for n in ast.walk(node))


def tests_of(file: str) -> str:
    """The mirrored test file."""
    path = Path(file)
    return str(Path("tests") / path.parent / f"test_{path.name}")


def run_tests(tree: Path, file: str, timeout: float) -> str:
    """``survived`` where a file's own tests pass, else ``killed`` or, which is as good, ``timeout``."""
    process = multiprocessing.get_context("forkserver").Process(target=_pytest, args=(tree, tests_of(file)))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return "timeout"
    return "killed" if process.exitcode else "survived"


def _pytest(tree: Path, test: str) -> None:
    """Run tests in a process of their own, which has what takes seconds to import already."""
    os.chdir(tree)
    sys.path[:] = [str(tree), *(entry for entry in sys.path if Path(entry).resolve() != ROOT)]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(tree), test])
    os._exit(int(code))


def check(tree: Path, mutant: Mutant, timeout: float) -> str:
    """What the tests make of a mutant, in a copy of the tree that is mended again."""
    path = tree / mutant.file
    source = path.read_text(encoding="utf-8")
    end = mutant.start + len(mutant.before)
    assert source[mutant.start : end] == mutant.before
    try:
        path.write_text(source[: mutant.start] + mutant.after + source[end:], encoding="utf-8")
        return run_tests(tree, mutant.file, timeout)
    finally:
        path.write_text(source, encoding="utf-8")


def choose(files: Sequence[str], sample: int | None, seed: int) -> list[Mutant]:
    """All mutants, or a sample of them: the same for the same source and seed."""
    every = [mutant for file in files if (ROOT / tests_of(file)).exists() for mutant in mutants(file)]
    return every if sample is None else random.Random(seed).sample(every, min(sample, len(every)))


def _finished(out: Path) -> dict[Mutant, str]:
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return {Mutant(**{k: row[k] for k in Mutant.__slots__}): row["result"] for row in rows}


def main() -> int:
    """Draw, test and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=MODULES, help="modules to change (default: those that decide)")
    parser.add_argument("--sample", type=int, metavar="N", help="only so many, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds after which a mutant hangs: noticed")
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"), help="results, a line a mutant")
    parser.add_argument("--list", action="store_true", help="show the mutants and test none")
    args = parser.parse_args()
    chosen = choose(args.files, args.sample, args.seed)
    if args.list:
        for mutant in chosen:
            print(f"{mutant.file}:{mutant.line}  {mutant.before!r} -> {mutant.after!r}")
        return 0
    known = _finished(args.out)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded, as tests/conftest.py has it
    multiprocessing.set_forkserver_preload(["torch", "scipy.stats", "scipy.linalg", "sklearn.datasets"])
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, tree)
        sound = set[str]()
        for number, mutant in enumerate(chosen, 1):
            if mutant not in known:
                if mutant.file not in sound and run_tests(tree, mutant.file, 10 * args.timeout) != "survived":
                    raise SystemExit(f"{tests_of(mutant.file)} fails without any change")
                sound.add(mutant.file)
                started = time.monotonic()
                known[mutant] = check(tree, mutant, args.timeout)
                row = asdict(mutant) | {"result": known[mutant], "seconds": round(time.monotonic() - started, 1)}
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(f"{number}/{len(chosen)} {known[mutant]:8} {mutant.file}:{mutant.line}  {mutant.after!r}", flush=True)
    survivors = sum(known[mutant] == "survived" for mutant in chosen)
    print(f"{survivors} of {len(chosen)} survive: {survivors / max(1, len(chosen)):.0%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
