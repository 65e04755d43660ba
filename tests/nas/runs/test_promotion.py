from pathlib import Path

import pytest

from nas.commands.search import main
from nas.engines.local import LocalEngine
from nas.journal import read
from nas.runs import record as run_record
from nas.runs.promotion import PromotingSpace
from nas.study import Measurement
from search_space.errors import InputError
from search_space.space import SearchSpace
from tests.toys import ToyConfig, ToyEvaluator

SMALL = ["epochs=1", "max_images=200", "width=0.25", "resolution=8", "device=cpu"]
FLAGS = ["--target-flops", "400M", "--controller", "random", "--batch", "4", "--promote", "2", "--quiet"]
FLAGS += [flag for setting in SMALL for flag in ("--set", f"evaluator.{setting}")]


def test_the_space_builds_the_same_networks() -> None:
    space = SearchSpace.load("efficientnet")
    promoting = PromotingSpace(space, 4)
    tokens = (0,) * len(space.decisions)
    assert promoting.decode((*tokens, 1)) == promoting.decode((*tokens, 0)) == space.decode(tokens)
    assert promoting.measurement((*tokens, 1)) == Measurement(fidelity=4)
    assert promoting.measurement((*tokens, 0)) == Measurement()
    assert promoting.decisions[-1].choices == ("1", "4")


def finished(run: Path) -> list[tuple[float, tuple[float, ...]]]:
    rows = [row for row in read(run / "journal.jsonl") if row["event"] == "finished"]
    return [(row["reward"], tuple(row["evaluation"]["curve"])) for row in rows]


def test_a_search_trains_its_best_on_and_a_resumed_one_does_the_same(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*FLAGS, "--trials", "6", "--set", "top=1", "--run-dir", str(whole)]) == 0
    assert not (whole / "weights").exists(), "a finished search leaves no states"
    results = finished(whole)
    assert [len(curve) for _, curve in results] == [1, 1, 1, 1, 2, 1]
    best = max(range(4), key=lambda i: results[i][0])
    assert results[4][1][0] == results[best][1][0]
    assert len(run_record.load(whole).space.decisions) == len(SearchSpace.load("efficientnet").decisions) + 1  # type: ignore[union-attr]
    # Its states are gone when it grows: that costs time and changes nothing.
    assert main([*FLAGS, "--trials", "4", "--run-dir", str(parts)]) == 0
    assert main(["--resume", "--trust-code", "--trials", "6", "--quiet", "--run-dir", str(parts)]) == 0
    assert finished(parts) == results


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--promote", "1"], "promote must be at least 2, got 1"),
        (["--promote", "4", "--async"], "promote needs whole batches: leave out --async"),
        (["--promote", "4", "--evaluator", "params"], "promote needs an evaluator that can train on"),
    ],
)
def test_what_cannot_be_is_refused(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--target-flops", "400M", *flags]) == 2
    assert message in capsys.readouterr().err


def test_only_evaluators_that_train_can_keep(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can train on"):
        ToyEvaluator.keeping(ToyConfig(), tmp_path)


def test_trainings_of_the_trust_report_stand_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str | None] = []

    def look(run: object, settings: object, engine: LocalEngine, *rest: object) -> None:
        kept.append(engine.evaluator.config.keep)

    monkeypatch.setattr("nas.trust.measure.after_search", look)
    assert main([*FLAGS, "--trials", "4", "--engine", "local", "--run-dir", str(tmp_path / "run")]) == 0
    assert kept == [None]
