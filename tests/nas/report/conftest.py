"""Fixtures of the report's tests: a browser, and pages of every kind of run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nas.history import Final, Finalist
from nas.journal import Journal
from nas.report import page as report
from nas.runs.record import RunRecord
from search_space.architecture import Architecture
from search_space.io import schema
from tests.browser import Browser
from tests.runs import make_run

FINAL = Final(
    trials=8,
    finalists=tuple(
        Finalist(name=name, role=role, network=Architecture.load(network), accuracies=accuracies)
        for name, role, network, accuracies in (
            ("trial 3, also the best of 8 random networks", "found", "mobilenet-v2", (0.90, 0.92, 0.91)),
            ("efficientnet-b0 at width 0.67, stride 16", "reference", "efficientnet-b0", (0.88, 0.91, 0.90)),
            ("trial 5", "found", "mobilenet-v2", (0.70, 0.72, 0.74)),
        )
    ),
    verdict="trial 3 is not distinguishable from efficientnet-b0 (+1.33 points of accuracy, 95 % -4.25 to +6.92).",
)
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)<script>'


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium, or a skip."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


@dataclass
class Shown:
    """A page and the runs it shows."""

    page: Path
    runs: list[RunRecord]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shown]:
    """One page of each kind of run, by name."""
    root = tmp_path_factory.mktemp("runs")
    make_run(root / "plain", trials=40, controller="reinforce", evaluator={"fail_every": 3})
    make_run(root / "random", trials=32)
    make_run(root / "shared", trials=24, evaluator={"fail_every": 5}, shared_loss=lambda n: int(n.key, 16) % 97 / 97)
    make_run(root / "failed", trials=9, evaluator={"fail_every": 1})
    make_run(root / "one", trials=1)
    make_run(root / "running", trials=24, stop_after=10)
    make_run(root / "damaged", trials=16)
    make_run(root / HOSTILE, trials=16, evaluator={"fail_every": 2, "fail_with": HOSTILE})
    journal = root / "damaged" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:8], b"not JSON\n", *lines[8:]]))
    (root / "empty").mkdir()
    (root / "empty" / "journal.jsonl").touch()
    make_run(root / "final", trials=8)
    with Journal(root / "final" / "journal.jsonl") as final:
        final.append({"event": "final", "final": schema.to_plain(FINAL)})
    names = {name: [name] for name in ("plain", "shared", "final", "failed", "one", "running", "damaged", "empty")}
    names |= {"hostile": [HOSTILE], "compared": ["plain", "random", HOSTILE]}
    return {kind: _show(root, kind, runs) for kind, runs in names.items()}


def _show(root: Path, kind: str, names: list[str]) -> Shown:
    if kind == "running":
        with Journal(root / kind / "journal.jsonl"):
            records = [report.load(root / kind)]
    else:
        records = [report.load(root / name) for name in names]
    page = root / f"{kind}.html"
    page.write_text(report.render(records, root), encoding="utf-8")
    return Shown(page, records)


@pytest.fixture(scope="session")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of 8,000 trials."""
    path = tmp_path_factory.mktemp("long") / "run"
    make_run(path, trials=8_000, batch=20, controller="tests.toys:AnyProposals")
    return path
