from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from nas.history import Final, Finalist
from nas.journal import Journal
from nas.report import final as report_final
from nas.report.answer import answer
from nas.report.page import render
from nas.runs.record import load
from nas.statistics import mean_of, paired_difference
from search_space.architecture import Architecture
from search_space.io import schema
from tests.runs import make_run

B0, V2 = Architecture.load("efficientnet-b0"), Architecture.load("mobilenet-v2")
FINAL = Final(
    trials=8,
    finalists=(
        Finalist(name="trial 3", role="found", network=V2, accuracies=(0.90, 0.92, 0.91)),
        Finalist(name="efficientnet-b0", role="reference", network=B0, accuracies=(0.88, 0.91, 0.90)),
        Finalist(name="trial 5", role="found", network=V2, accuracies=(0.70, 0.72, 0.74)),
    ),
    verdict="trial 3 is not distinguishable from efficientnet-b0 (+1.33 points of accuracy).",
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A search whose final was held."""
    path = tmp_path / "a run"
    make_run(path, trials=8, final=2)
    with Journal(path / "journal.jsonl") as journal:
        journal.append({"event": "final", "final": schema.to_plain(FINAL)})
    return path


def test_the_table_is_the_finals(run: Path) -> None:
    shown = answer(load(run), None)
    assert shown["found"]["columns"] == ["Network", "Accuracy", "MACs", "Winner ahead by", "Params"]
    first, second, third = shown["found"]["rows"]
    mean = mean_of(FINAL.finalists[0].accuracies)
    assert first == ["trial 3", f"91.00% ± {100 * mean.standard_error:.2f}", "300.8M", "–", "3.505M"]  # noqa: RUF001
    lead = paired_difference(FINAL.finalists[0].accuracies, FINAL.finalists[1].accuracies, 3)
    assert second[0] == "efficientnet-b0"
    assert second[3] == f"{100 * lead.mean:+.2f} [{100 * lead.low:+.2f}, {100 * lead.high:+.2f}]"
    assert third[0] == "trial 5"
    assert shown["found"]["share"].startswith("Highest reward first; trained 4 times longer than in the search, ")
    assert "hold for all 3 pairs at once" in shown["found"]["share"]


def test_the_answer_is_its_winner_and_its_verdict(run: Path) -> None:
    shown = answer(load(run), None)
    assert shown["title"] == "91.00% with 300.8M multiply-adds: trial 3, the first of 3 trained in full"
    assert shown["sure"] == [FINAL.verdict]
    page = render([load(run)])
    for text in (FINAL.verdict, "Winner ahead by", "91.00% ±", shown["title"]):
        assert text in page


def test_what_next_is_of_the_winner_and_its_weights(run: Path) -> None:
    record = load(run)
    commands = dict(answer(record, None)["commands"])
    assert commands["Export it to PyTorch"] == f"nas-export '{run}/best.yaml' --to torch"
    assert report_final.weights(record, FINAL) is None
    kept = run / "final" / "trained" / V2.key / "network.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    commands = dict(answer(record, None)["commands"])
    assert commands["Export it to PyTorch"] == f"nas-export '{run}/best.yaml' --weights '{kept}' --to torch"
    assert commands["Train it longer"] == f"nas-train '{run}/best.yaml'"
    assert answer(record, run)["files"][-1] == ("network.safetensors", f"final/trained/{V2.key}/network.safetensors")


def test_a_search_that_went_on_shows_no_old_final(run: Path) -> None:
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["event"] == "final"
    record = load(run)
    record.history.final = dataclasses.replace(FINAL, trials=7)
    shown = answer(record, None)
    assert shown["found"]["columns"][-1] == "Reward"
    assert shown["sure"][0].startswith("Not measured: ")
