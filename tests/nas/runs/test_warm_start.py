from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluator.objective import Objective
from nas.commands.search import main
from nas.journal import read
from nas.runs import warm_start
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.space import SearchSpace

SPACE = SearchSpace.load("efficientnet")
OBJECTIVE = Objective(target_macs=400_000_000)
TOY = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--trials", "8", "--batch", "4", "--quiet"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    assert main([*TOY, "--controller", "random", "--run-dir", str(tmp_path / "first")]) == 0
    return tmp_path / "first"


def events(path: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in read(path / "journal.jsonl") if event["event"] == kind]


def test_a_journal_gives_what_it_found_under_the_new_objective(run: Path) -> None:
    told = warm_start.read([str(run)], SPACE, OBJECTIVE)
    assert told == warm_start.read([str(run / "journal.jsonl")], SPACE, OBJECTIVE)
    assert [outcome.reward for outcome in told] == [event["reward"] for event in events(run, "finished")]
    hard = warm_start.read([str(run)], SPACE, Objective(target_macs=200_000_000, kind="hard"))
    assert [outcome.accuracy for outcome in hard] == [outcome.accuracy for outcome in told]
    assert [outcome.reward for outcome in hard] != [outcome.reward for outcome in told]


def test_an_architecture_gives_its_measured_accuracy(run: Path) -> None:
    (told,) = warm_start.read([str(run / "best.yaml")], SPACE, OBJECTIVE)
    assert SPACE.decode(told.tokens).key == Architecture.load(run / "best.yaml").key
    assert told.reward == pytest.approx(max(event["reward"] for event in events(run, "finished")))


def test_a_search_learns_from_it_first_and_a_resume_learns_it_again(run: Path, tmp_path: Path) -> None:
    first = {tuple(row["tokens"]) for event in events(run, "proposed") for row in event["trials"]}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for path, trials in ((whole, "8"), (stopped, "4")):
        options = ["--controller", "evolution", "--warm-start", str(run), "--run-dir", str(path)]
        assert main([*TOY, *options, "--trials", trials]) == 0
    assert len(events(whole, "told")[0]["outcomes"]) == len(events(run, "finished"))
    proposed = [tuple(row["tokens"]) for event in events(whole, "proposed") for row in event["trials"]]
    assert not first & set(proposed)
    assert main(["--run-dir", str(stopped), "--resume", "--trust-code", "--trials", "8", "--quiet"]) == 0
    assert [event["trials"] for event in events(stopped, "proposed")] == [
        event["trials"] for event in events(whole, "proposed")
    ]


def test_it_goes_with_trainings_that_are_continued(run: Path, tmp_path: Path) -> None:
    flags = ["--target-flops", "400M", "--engine", "local", "--epochs", "1", "--set", "evaluator.max_images=200"]
    flags += ["--set", "evaluator.width=0.1", "--promote", "2", "--trials", "3", "--batch", "2", "--quiet"]
    both = tmp_path / "both"
    assert main([*flags, "--trust", "0%", "--warm-start", str(run), "--run-dir", str(both)]) == 0
    assert len(events(both, "told")) == 1
    proposed = [row["tokens"][-1] for batch in events(both, "proposed") for row in batch["trials"]]
    assert proposed == [0, 0, 1]  # two short trainings, then the better one goes on


def test_what_cannot_be_learned_from_is_one_clear_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(Architecture.load("efficientnet-b0").to_yaml())
    (tmp_path / "wide.yaml").write_text(
        Architecture.load("efficientnet-b0").to_yaml(metrics={"accuracy": 0.5}).replace("stem: 32", "stem: 40")
    )
    (tmp_path / "empty.jsonl").write_text("")
    for name, message in (
        ("plain.yaml", "metrics.accuracy must be a number from 0 to 1, got None"),
        ("wide.yaml", "not in the space efficientnet"),
        ("empty.jsonl", "no finished trial in it"),
        ("none.yaml", "none.yaml: cannot be read: No such file"),
    ):
        with pytest.raises(InputError, match=message):
            warm_start.read([str(tmp_path / name)], SPACE, OBJECTIVE)
    with pytest.raises(InputError, match="not a journal of the space accel-nasbench"):
        warm_start.read([str(run)], SearchSpace.load("accel-nasbench"), OBJECTIVE)


def test_architectures_need_a_space_that_can_encode(run: Path) -> None:
    class Own:
        name = "own"
        decisions = SPACE.decisions

        def decode(self, tokens: Any) -> Architecture:
            return SPACE.decode(tokens)

    assert len(warm_start.read([str(run)], Own(), OBJECTIVE)) == 8
    with pytest.raises(InputError, match="only journals can be read"):
        warm_start.read([str(run / "best.yaml")], Own(), OBJECTIVE)


def test_a_run_that_goes_on_takes_no_more(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run-dir", str(run), "--resume", "--trust-code", "--warm-start", str(run)]) == 2
    assert "--warm-start: a run that goes on" in capsys.readouterr().err


def test_of_a_run_that_trained_its_best_on_the_short_trainings_count(tmp_path: Path) -> None:
    flags = ["--target-flops", "1M", "--data", "digits", "--epochs", "1", "--set", "evaluator.max_images=200",
             "--controller", "random", "--engine", "local", "--trust", "0%", "--quiet", "--trials", "5"]  # fmt: skip
    first, later = tmp_path / "first", tmp_path / "later"
    assert main([*flags, "--promote", "2", "--run-dir", str(first)]) == 0
    assert main([*flags[:-1], "1", "--warm-start", str(first), "--run-dir", str(later)]) == 0
    short = [row["tokens"][:-1] for row in events(first, "proposed")[0]["trials"]]
    assert [row["tokens"] for row in events(later, "told")[0]["outcomes"]] == short
