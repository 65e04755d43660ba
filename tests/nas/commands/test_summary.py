from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluator.base import Evaluation
from nas import config
from nas.commands import summary
from nas.runs.search import StudyRun
from search_space.architecture import Architecture
from search_space.errors import NasError
from search_space.space import SearchSpace
from tests.runs import make_run
from tests.toys import ToyConfig, ToyEvaluator

B0 = Architecture.load("efficientnet-b0")


class OwnSpace:
    """A user's space: B0 alone."""

    name = "own"
    decisions = ()

    def decode(self, tokens: Any) -> Architecture:
        return B0


def make(path: Path, reference: Evaluation | None = None, **evaluator: int) -> StudyRun:
    make_run(path, trials=4, evaluator=evaluator)
    settings = config.resolve([{"target_flops": "400M", "trials": 4, "controller": "random"}])
    with StudyRun(path, settings) as run:
        if reference:
            run.references["efficientnet-b0"] = reference
    return run


def text(run: StudyRun) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(*summary.result(run), sep="\n")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_best_stands_beside_the_reference(tmp_path: Path) -> None:
    run = make(tmp_path / "run", Evaluation(status="ok", accuracy=0.5))
    out = text(run)
    assert run.best_trial is not None
    assert f"best (trial {run.best_trial.number})" in out
    assert f"{run.best_trial.reward:.4f}" in out
    row = next(line for line in out.splitlines() if line.startswith("efficientnet-b0"))
    assert row.split() == ["efficientnet-b0", "50.00%", "385,814,752", "5,288,548", "0.5013"]
    assert "4 trials, 4 trained, 0 failed" in out


def test_a_reference_that_did_better_is_named(tmp_path: Path) -> None:
    ahead = "A higher reward than the best that was found: efficientnet-b0."
    assert ahead in text(make(tmp_path / "run", Evaluation(status="ok", accuracy=1.0)))
    assert ahead not in text(make(tmp_path / "other", Evaluation(status="ok", accuracy=0.1)))
    assert ahead not in text(make(tmp_path / "failed", Evaluation(status="diverged", reason="the loss is NaN")))


def test_a_failed_reference_is_shown_as_such(tmp_path: Path) -> None:
    assert "diverged" in text(make(tmp_path / "run", Evaluation(status="diverged", reason="the loss is NaN")))


def test_no_success_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    run = make(tmp_path / "run", fail_every=1)
    with pytest.raises(NasError, match=r"no network could be evaluated in 4 trials .*RuntimeError: this network"):
        summary.result(run)


def test_the_plan_of_a_space_of_ones_own() -> None:
    settings = config.resolve([{"target_flops": "400M", "trials": 4, "controller": "random"}])
    out = "\n".join(summary.plan(settings, OwnSpace(), ToyEvaluator(ToyConfig())))
    assert "Space own: 0 decisions\n" in out
    assert "quantiles: 5 % 385.8M" in out
    assert "4 trials take about" in out


class Slow(ToyEvaluator):
    """Its trainings would take an hour."""

    is_lookup = False

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        raise AssertionError("a whole trial was trained")

    def describe(self) -> dict[str, Any]:
        return {"notes": ["Images of 2 classes: cat 3, dog 3"]}


class Timed(Slow):
    """It knows."""

    def estimate(self, architecture: Architecture, seed: int) -> float | None:
        if self.config.fail_every:
            raise RuntimeError(self.config.fail_with)
        return 3600.0


def test_a_plan_trains_no_whole_trial_and_shows_the_data() -> None:
    settings = config.resolve([{"target_flops": "400M", "trials": 4, "controller": "random"}])
    out = "\n".join(summary.plan(settings, OwnSpace(), Timed(ToyConfig())))
    assert "One trial takes about 3600.0 s: 4 trials take about 240.0 minutes" in out
    assert "Images of 2 classes: cat 3, dog 3" in out
    out = "\n".join(summary.plan(settings, OwnSpace(), Slow(ToyConfig())))
    assert "How long 4 trials take is unknown" in out
    with pytest.raises(NasError, match="some steps were to be timed, and failed: RuntimeError: this network"):
        summary.plan(settings, OwnSpace(), Timed(ToyConfig(fail_every=1)))


def test_a_plan_that_cannot_be_timed_says_why() -> None:
    settings = config.resolve([{"target_flops": "400M", "band": [2.0, 3.0]}])
    with pytest.raises(NasError, match=r"none of 20,000 uniform samples is admissible"):
        summary.plan(settings, OwnSpace(), ToyEvaluator(ToyConfig()))
    settings = config.resolve([{"target_flops": "400M"}])
    with pytest.raises(NasError, match="the timed trial ended as failed: RuntimeError"):
        summary.plan(settings, OwnSpace(), ToyEvaluator(ToyConfig(fail_every=1)))


def test_a_plan_for_a_band_that_samples_do_not_hit_times_a_network_of_it() -> None:
    settings = config.resolve([{"target_flops": "50M", "band": [0.95, 1.1]}])
    out = "\n".join(summary.plan(settings, SearchSpace.load("efficientnet"), ToyEvaluator(ToyConfig())))
    assert "Inside the band that is searched: 0.0% of them" in out
    assert "One trial takes" in out


def test_repeats_are_said(tmp_path: Path) -> None:
    assert "repeat a network" not in text(make(tmp_path / "all-new"))
    few = {"target_flops": "400M", "space": "tests.nas.commands.test_summary:OwnSpace"}
    make_run(tmp_path / "run", trials=4, **few)
    with StudyRun(tmp_path / "run", config.resolve([few, {"trials": 4, "controller": "random"}])) as run:
        assert "3 of 4 trials repeat a network that was tried before" in text(run)


def test_a_search_ends_with_what_next(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    steps = summary.next_steps(run.path)
    assert steps[0] == f"Train it in full: nas-train --run {run.path}"
    assert all(": nas-" in step for step in steps)
    make(tmp_path / "failed", fail_every=1)
    assert summary.next_steps(tmp_path / "failed") == []


@pytest.mark.parametrize(
    ("macs", "objective", "band", "words"),
    [
        (205e6, "soft", [0.5, 1.5], "It costs 51% of the target, on the floor of the searched band (50%): the soft"),
        (205e6, "soft", [0.5, 1.5], "What holds the budget: --objective absolute, or --set band=[0.9,1.1]"),
        (205e6, "absolute", [0.5, 1.5], "What holds the budget: --set band=[0.9,1.1]"),
        (300e6, "soft", [0.5, 1.5], ""),
        (361e6, "soft", [0.9, 1.1], ""),
        (205e6, "soft", None, ""),
        (205e6, "hard", [0.5, 1.0], ""),
    ],
)
def test_an_answer_on_the_floor_of_the_band_is_said(
    macs: float, objective: str, band: list[float] | None, words: str
) -> None:
    settings = config.resolve([{"target_flops": "400M", "band": band, "objective": objective}])
    said = "".join(summary._off_target(settings, int(macs)))
    assert words in said
    assert bool(said) == bool(words)


def test_the_caveat_names_the_users_own_data_and_target_and_what_cannot_be_seen() -> None:
    space = SearchSpace.load("efficientnet")
    own = {"target_flops": "55M", "evaluator": {"name": "proxy", "data": "folder:photos"}}
    (said,) = summary.caveat(config.resolve([own]), space)
    assert said.startswith("A demonstration: ")
    assert "cannot tell apart block2.channels 24 and 32, block3.channels 24 and 32. For a real answer" in said
    assert said.endswith("nas-search --target-flops 55M --evaluator-preset small --data folder:photos")
    (other,) = summary.caveat(config.resolve([own, {"space": "mnasnet"}]), SearchSpace.load("mnasnet"))
    assert "nas-search --target-flops 55M --space mnasnet --evaluator-preset small" in other
    half = {"evaluator": {"name": "proxy", "preset": "small", "width": 0.5}}
    (unseen,) = summary.caveat(config.resolve([own, half]), space)
    assert unseen.startswith("The evaluator cannot tell apart block2")
    assert summary.caveat(config.resolve([own, {"evaluator": {"name": "proxy", "preset": "small"}}]), space) == []
    toy = {"evaluator": "tests.toys:ToyEvaluator"}
    assert summary.caveat(config.resolve([own, toy]), space) == []
