"""Commands killed at any moment, again and again: what they leave in the end is what a quiet run leaves."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nas.journal import read
from nas.runs.directory import is_blank
from tests import forks

pytestmark = pytest.mark.slow
FULL = 300
EVOLUTION = ["search", "--target-flops", "400M", "--evaluator", "params", "--controller", "evolution"]
TRAIN = ["train", "mobilenet-v2"]
GRID = ["grid", "--phi", "1", "--arch", "efficientnet-b0", "--step", "0.2"]
STEADY = ["--evaluator", "tests.toys:SteadyEvaluator", "--set", "evaluator.sleep=0.02"]
PROXY = ["--epochs", "1", "--set", "evaluator.max_images=120", "--set", "evaluator.batch_size=32"]
SEARCH = ["search", "--target-flops", "400M", "--trials", "8", "--quiet", "--workers", "1", "--trust", "0%", *PROXY]
ONE = ["--workers", "1"]


def journal(run: Path) -> Any:
    """All that was found and learned, times aside."""
    rows = list(read(run / "journal.jsonl"))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    return rows


def journals(run: Path) -> Any:
    return {path.relative_to(run).parent.as_posix(): journal(path.parent) for path in run.rglob("journal.jsonl")}


def searched(run: Path) -> Any:
    return journals(run), (run / "best.yaml").read_text().replace(run.name, "")


def gridded(run: Path) -> Any:
    family = {path.name: path.read_text().replace(run.name, "") for path in (run / "family").iterdir()}
    return journals(run), family


def trained(out: Path) -> Any:
    metrics = json.loads((out / "metrics.json").read_text())
    return (out / "network.safetensors").read_bytes(), metrics["validation_accuracy"], metrics["test_accuracy"]


def written(out: Path) -> Any:
    return {path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@dataclass(frozen=True)
class Attacked:
    """A command, how to go on with it, and what it leaves."""

    start: tuple[str, ...]
    out: str
    """The flag that names what it leaves."""
    again: tuple[str, ...]
    """Once there is something at that path; empty where it just runs again."""
    result: Callable[[Path], Any]
    share: float
    """Of all kills."""
    prepare: tuple[str, ...] = ()
    """A command that is left in peace before, with the same `out`."""


def resumed(name: str) -> tuple[str, ...]:
    return (name, "--resume", "--quiet", *ONE)


COMMANDS = {
    "proxy": Attacked((*SEARCH,), "--run-dir", (*resumed("search"), "--trust", "0%"), searched, 0.2),
    "promote": Attacked((*SEARCH, "--promote", "3"), "--run-dir", (*resumed("search"), "--trust", "0%"), searched, 0.1),
    "ppo": Attacked(
        (*SEARCH, "--controller", "ppo"), "--run-dir", (*resumed("search"), "--trust", "0%"), searched, 0.1
    ),
    "evolution": Attacked(
        (*EVOLUTION, "--trials", "300", "--quiet", "--trust", "0%"),
        "--run-dir",
        (*resumed("search"), "--trust", "0%"),
        searched,
        0.1,
    ),
    "grid": Attacked(
        (*GRID, "--rungs", "1,2", "--finalists", "2", "--repeats", "2", "--quiet", *STEADY),
        "--run-dir",
        (*resumed("grid"), "--trust-code"),
        gridded,
        0.15,
    ),
    "trust": Attacked(
        ("trust", "--budget", "100%", *ONE), "", ("trust", "--budget", "100%", *ONE), journals, 0.15, (*SEARCH,)
    ),
    "train": Attacked(
        (*TRAIN, "--epochs", "6", "--quiet", "--threads", "1", "--validation-share", "0.7"),
        "-o",
        (*TRAIN, "--epochs", "6", "--quiet", "--threads", "1", "--validation-share", "0.7", "--resume"),
        trained,
        0.1,
    ),
    "export": Attacked(("export", "mobilenet-v2", "--to", "torch"), "-o", (), written, 0.05),
    "scale": Attacked(("scale", "efficientnet-b0", "--phi", "3"), "-o", (), Path.read_text, 0.05),
}


def run(argv: Sequence[str], folder: Path, kill_after: float | None) -> int:
    """Its exit code; negative where it was killed."""
    process = forks.start(argv, folder)
    process.join(kill_after)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def argv_of(attacked: Attacked, path: Path) -> list[str]:
    blank = attacked.out == "--run-dir" and path.exists() and is_blank(path)  # killed before anything was recorded
    there = path.exists() and attacked.again and not blank
    words = [*(attacked.again if there else attacked.start)]
    return [*words, *([attacked.out] if attacked.out else []), str(path)]


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_it_ends_as_a_quiet_one(name: str, tmp_path: Path, share: float) -> None:
    attacked, moments = COMMANDS[name], random.Random(name)
    kills = max(2, round(FULL * share * attacked.share))
    quiet, path = tmp_path / "quiet" / "it", tmp_path / "killed" / "it"
    for place in (quiet, path):
        place.parent.mkdir()
        if attacked.prepare:
            assert run([*attacked.prepare, "--run-dir", str(place)], tmp_path, None) == 0
    started = time.monotonic()
    assert run(argv_of(attacked, quiet), tmp_path, None) == 0
    lasts, expected, killed = time.monotonic() - started, attacked.result(quiet), 0
    while killed < kills:
        code = run(argv_of(attacked, path), tmp_path, moments.uniform(0.02, 0.6) * lasts)
        if code == -9:
            killed += 1
            if not attacked.again and path.exists():  # it is never overwritten: what was written before is whole
                found = attacked.result(path)
                assert (expected | found if isinstance(found, dict) else found) == expected, f"after {killed} kills"
                remove(path)
            continue
        assert code == 0, f"exit code {code} after {killed} kills"
        assert attacked.result(path) == expected, f"after {killed} kills"
        if not attacked.prepare:  # once more from the start
            remove(path)
    assert run(argv_of(attacked, path), tmp_path, None) == 0
    assert attacked.result(path) == expected
    leftovers = [p for p in path.parent.rglob("*") if ".tmp" in p.name]
    assert leftovers == []
