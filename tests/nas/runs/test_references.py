from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas import config
from nas.commands.search import main
from nas.config import SearchConfig
from nas.history import History
from nas.journal import read
from nas.runs.record import load
from nas.runs.references import KNOWN, comparable, in_order, network_of, of_parent, reference_networks, title
from nas.runs.search import StudyRun
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from tests.runs import make_run

B0 = Architecture.load("efficientnet-b0")


def settings(resolution: int | None = None, classes: int | None = None, target: str = "3M") -> SearchConfig:
    resolved = config.resolve([{"target_flops": target}])
    return dataclasses.replace(resolved, resolution=resolution, classes=classes)


def good(accuracy: float) -> Evaluation:
    return Evaluation(status="ok", accuracy=accuracy)


def test_known_networks_cost_no_less_than_what_they_are_set_beside() -> None:
    for size, macs in (((224, 1000), 200_000_000), ((32, 10), 3_000_000), ((16, 10), 1_000_000)):
        networks = reference_networks(settings(*size), macs)
        assert {name.partition(" ")[0] for name in networks} == set(KNOWN)
        assert {(network.resolution, network.classes) for network in networks.values()} == {size}
        assert all(1 <= count(network).macs / macs < 1.2 for network in networks.values())


def test_small_images_have_both_strides() -> None:
    assert list(reference_networks(settings(224, 1000), 400_000_000)) == list(KNOWN)
    small = reference_networks(settings(32, 10), 3_000_000)
    assert list(small)[:4] == ["efficientnet-b0", "efficientnet-b0 stride 16", "mobilenet-v2", "mobilenet-v2 stride 8"]
    assert small["mobilenet-v2"].total_stride == 32
    assert small["mobilenet-v2 stride 8"].total_stride == 8


def test_networks_of_a_size_of_their_own_are_beside_b0_as_published() -> None:
    assert reference_networks(settings(), 3_000_000) == {"efficientnet-b0": B0}


def test_the_evaluator_says_which_strides_are_better() -> None:
    sized = settings(32, 10)
    assert list(comparable(sized, 3_000_000, {})) == list(KNOWN)
    known = {"efficientnet-b0": good(0.5), "efficientnet-b0 stride 16": good(0.6), "mobilenet-v2": good(0.5)}
    known |= {"mobilenet-v2 stride 8": Evaluation(status="diverged", reason="NaN")}
    chosen = comparable(sized, 3_000_000, known)
    assert list(chosen) == ["efficientnet-b0 stride 16", "mobilenet-v2", "mnasnet-a1"]
    assert chosen["efficientnet-b0 stride 16"].total_stride == 16
    assert chosen.items() <= reference_networks(sized, 3_000_000).items()


def test_b0_as_published_is_brought_to_the_cost_where_it_is_compared() -> None:
    (wider,) = comparable(settings(), 500_000_000, {"efficientnet-b0": good(0.5)}).values()
    assert 1 <= count(wider).macs / 500_000_000 < 1.1
    assert wider.resolution == 224


def test_titles() -> None:
    networks = reference_networks(settings(32, 10), 3_000_000)
    assert title("efficientnet-b0", B0) == "efficientnet-b0"
    assert title("efficientnet-b0", networks["efficientnet-b0"]) == "efficientnet-b0 at width 0.56"
    named = {name: title(name, network) for name, network in networks.items()}
    assert named["mobilenet-v2 stride 8"] == "mobilenet-v2 at width 0.28, stride 8"
    assert title("baseline", B0) == "baseline"


def run_of(path: Path, **more: Any) -> StudyRun:
    """A search for 32 pixels and 10 classes."""
    make_run(path, trials=4, resolution=32, classes=10, **{"target_flops": "3M", **more})
    with StudyRun(path, config.resolve([dict(load(path).config)])) as run:
        return run


def test_a_search_ends_beside_all_of_them_and_a_record_says_what_they_were(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    assert run.best_trial is not None
    expected = reference_networks(run.settings, run.best_trial.macs)
    record = load(run.path)
    assert record.references.keys() == expected.keys()
    assert record.history.reference_networks == expected
    assert isinstance(record.settings, SearchConfig)
    for name, network in expected.items():
        assert network_of(record.history, record.settings, name) == network
        assert count(network).macs >= run.best_trial.macs


def test_what_a_name_stands_for_where_the_journal_does_not_say() -> None:
    history = History()
    sized = settings(32, 10)
    assert network_of(history, sized, "mnasnet-a1") == reference_networks(sized, 3_000_000)["mnasnet-a1"]
    assert network_of(history, settings(), "efficientnet-b0") == B0
    assert network_of(history, settings(), "mnasnet-b1") == Architecture.load("mnasnet-b1")
    with pytest.raises(InputError, match="unknown architecture 'nothing'"):
        network_of(history, sized, "nothing")
    history.references["efficientnet-b0"] = good(0.5)  # an earlier version: near the target, and no network recorded
    before = network_of(history, sized, "efficientnet-b0")
    assert (before.resolution, before.classes, count(before).macs) == (32, 10, 2_996_368)
    as_published = network_of(history, settings(224, 1000, "400M"), "efficientnet-b0")
    assert as_published == B0


def test_the_table_names_them_at_their_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--target-flops", "3M", "--resolution", "32", "--classes", "10", "--trials", "4", "--quiet"]
    run = ["--run-dir", str(tmp_path / "run"), "--evaluator", "tests.toys:ToyEvaluator"]
    assert main([*flags, *run, "--trust", "0%"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if " at width " in line and "%" in line] == [
        n for n in KNOWN for _ in (1, 2)
    ]
    (event, *_) = [row for row in read(tmp_path / "run" / "journal.jsonl") if row["event"] == "reference"]
    assert event["network"]["resolution"] == 32


def test_references_are_told_in_one_order() -> None:
    names = ["efficientnet-b0", "efficientnet-b0 stride 8", "mobilenet-v2", "mnasnet-a1", "own"]
    assert in_order(reversed(names)) == names


def inheriting(target: str, parent: str = "efficientnet-b0", **size: int) -> SearchConfig:
    evaluator = {"name": "proxy", "inherit": "w.safetensors", "parent": parent}
    resolved = config.resolve([{"target_flops": target, "evaluator": evaluator}])
    return dataclasses.replace(resolved, **{"resolution": 224, "classes": 10} | size)


def test_beside_what_inherits_stands_the_checkpoints_network() -> None:
    dear = of_parent(inheriting("200M"))
    assert list(dear) == ["checkpoint at width 0.67", "checkpoint at 160 pixels"]
    assert all(count(network).macs <= 200_000_000 for network in dear.values())
    assert {network.classes for network in dear.values()} == {10}
    cheap = of_parent(inheriting("800M"))
    assert list(cheap) == ["checkpoint", "checkpoint at width 1.5"]
    assert cheap["checkpoint"] == dataclasses.replace(B0, classes=10)
    assert list(of_parent(inheriting("390M"))) == ["checkpoint"]  # at the budget as it is
    assert reference_networks(inheriting("200M"), 1) == comparable(inheriting("200M"), 1, {}) == dear
    assert of_parent(settings(224, 10)) == {}
    assert all(title(name, network) == name for name, network in dear.items())


def test_a_run_is_read_where_its_checkpoint_is_gone() -> None:
    gone = inheriting("200M", "gone.yaml", resolution=32)
    recorded = dataclasses.replace(B0, classes=10)
    history = History(reference_networks={"checkpoint": recorded})
    assert network_of(history, gone, "checkpoint") == recorded
    assert network_of(History(), gone, "efficientnet-b0").resolution == 32
