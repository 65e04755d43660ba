import math
from pathlib import Path

import numpy as np
import pytest

from evaluator.objective import Objective
from nas import features
from nas.features import with_score
from nas.journal import read
from nas.problem import make_problem
from nas.search import main
from search_space.cost import count
from search_space.decision import sample_tokens
from search_space.errors import InputError, NasError
from search_space.space import SearchSpace
from tests.toys import ToyConfig, ToyEvaluator

SPACE = SearchSpace.load("efficientnet")
PROBLEM = make_problem(SPACE, Objective(target_macs=400_000_000), None)


def test_the_score_of_networks_that_were_not_scored_is_foretold() -> None:
    problem = with_score(PROBLEM, SPACE, "params", seed=0)
    generator = np.random.default_rng(9)
    tokens = [sample_tokens(SPACE.decisions, generator) for _ in range(50)]
    assert problem.guesses is not None
    assert PROBLEM.guesses is not None
    assert all(problem.guesses(t)[:-1] == PROBLEM.guesses(t) for t in tokens)
    foretold = [problem.guesses(t)[-1] for t in tokens]
    true = [0.2 * math.log(count(SPACE.decode(t)).params) for t in tokens]
    assert np.corrcoef(foretold, true)[0, 1] > 0.99
    assert np.std(foretold) == pytest.approx(np.std(true), rel=0.05)
    again = with_score(PROBLEM, SPACE, "params", seed=0)
    assert again.guesses is not None
    assert [again.guesses(t)[-1] for t in tokens] == foretold


def test_an_evaluator_that_scores_nothing_is_no_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyEvaluator, "presets", {"default": ToyConfig(fail_every=1)})
    with pytest.raises(NasError, match=r"scored 0 of 256 random networks: it cannot be a feature"):
        with_score(PROBLEM, SPACE, "tests.toys:ToyEvaluator", seed=0)
    with pytest.raises(InputError, match="unknown evaluator 'nothing'"):
        with_score(PROBLEM, SPACE, "nothing", seed=0)


def test_a_guided_search_knows_the_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(features, "SAMPLES", 100)
    flags = ["--target-flops", "400M", "--controller", "guided", "--evaluator", "tests.toys:KernelEvaluator"]
    flags += ["--trials", "28", "--trust", "0%", "--quiet"]
    told = ["--feature", "tests.toys:KernelEvaluator"]
    for name, more in (("with", told), ("again", told), ("without", [])):
        assert main([*flags, *more, "--run-dir", str(tmp_path / name)]) == 0
    proposed = [
        [
            trial["tokens"]
            for row in read(tmp_path / name / "journal.jsonl")
            if row["event"] == "proposed"
            for trial in row["trials"]
        ]
        for name in ("with", "again", "without")
    ]
    assert proposed[0] == proposed[1] != proposed[2]
    capsys.readouterr()
    assert main([*flags, "--feature", "parms"]) == 2
    assert "did you mean 'params'" in capsys.readouterr().err
