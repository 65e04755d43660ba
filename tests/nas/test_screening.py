from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.random_search import RandomConfig, RandomSearch
from evaluator.objective import Objective
from nas.journal import read
from nas.problem import make_problem
from nas.screening import promise, screened
from nas.search import main
from search_space.cost import count
from search_space.errors import InputError
from search_space.space import SearchSpace
from tests.toys import ToyConfig, ToyEvaluator

TOY = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--batch", "4", "--quiet"]
SCREEN = ["--controller", "random", "--screen", "params", "--screen-ratio", "3"]


def events(run: Path) -> list[dict[str, Any]]:
    rows = [row for row in read(run / "journal.jsonl") if row["event"] != "run"]
    for row in rows:
        row.pop("time", None)
    return rows


def test_promise_is_the_reward_of_the_cheap_accuracy() -> None:
    space = SearchSpace.load("efficientnet")
    problem = make_problem(space, Objective(target_macs=400_000_000, kind="hard"), None)
    evaluator = ToyEvaluator(ToyConfig())
    tokens = space.encode(space.sample(np.random.default_rng(0)))
    assert tokens is not None
    accuracy = evaluator.evaluate(space.decode(tokens), 0).accuracy
    assert accuracy is not None
    assert promise(space, problem, evaluator)(tokens) == problem.reward(tokens, accuracy)
    failing = ToyEvaluator(ToyConfig(fail_every=1))
    assert promise(space, problem, failing)(tokens) == 0


def test_a_search_behind_a_screen_tries_what_the_screen_favours(tmp_path: Path) -> None:
    assert main([*TOY, *SCREEN, "--trials", "12", "--run-dir", str(tmp_path / "a")]) == 0
    assert main([*TOY, "--controller", "random", "--trials", "12", "--run-dir", str(tmp_path / "b")]) == 0
    sizes = {}
    for run in ("a", "b"):
        trials = [trial for row in events(tmp_path / run) if row["event"] == "proposed" for trial in row["trials"]]
        sizes[run] = np.mean([trial["params"] for trial in trials])
    assert sizes["a"] > sizes["b"]


def test_a_screened_search_that_goes_on_is_the_search_that_never_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*TOY, *SCREEN, "--trials", "12", "--run-dir", str(whole)]) == 0
    assert main([*TOY, *SCREEN, "--trials", "8", "--run-dir", str(parts)]) == 0
    assert main(["--resume", "--trials", "12", "--quiet", "--run-dir", str(parts)]) == 0

    def plain(run: Path) -> list[Any]:
        return [row for row in events(run) if row["event"] in ("proposed", "updated")]

    assert plain(whole) == plain(parts)
    assert "unscreened_reward" in plain(whole)[1]["signals"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--screen", "parms"], "unknown evaluator 'parms' (did you mean 'params'?)"),
        (["--screen", "params", "--screen-ratio", "1"], "screen_ratio must be at least 2, got 1"),
        (["--screen", "params", "--async"], "screen needs whole batches"),
    ],
)
def test_what_cannot_be_is_refused(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, *flags]) == 2
    assert message in capsys.readouterr().err


def test_the_ratio_counts_proposals() -> None:
    space = SearchSpace.load("efficientnet")
    problem = make_problem(space, Objective(target_macs=400_000_000), None)
    controller = screened(RandomSearch(problem, RandomConfig(), 0), "params", 6, space)
    (best,) = controller.ask(0, 1)
    asked = RandomSearch(problem, RandomConfig(), 0).ask(0, 6)

    def promising(tokens: tuple[int, ...]) -> float:
        params = count(space.decode(tokens)).params
        return problem.reward(tokens, 1 / (1 + (5_288_548 / params) ** 0.2))

    assert promising(best) == max(map(promising, asked))
    with pytest.raises(InputError, match="unknown evaluator"):
        screened(controller, "nothing", 2, space)
