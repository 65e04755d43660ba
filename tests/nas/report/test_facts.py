from dataclasses import replace
from pathlib import Path

import pytest

from controller.random_search import RandomSearch
from nas.commands import grid
from nas.journal import Journal
from nas.report import facts as report_facts
from nas.runs.record import load
from search_space.decision import Tokens
from tests.runs import make_run


class Stubborn(RandomSearch):
    """Proposes one network again and again."""

    def ask(self, batch: int, count: int) -> list[Tokens]:
        return super().ask(0, 1) * count


def test_a_repeat_of_a_failed_network_is_no_second_failure(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=4, evaluator={"fail_every": 1}, controller="tests.nas.report.test_facts:Stubborn")
    assert [trial.repeat_of for trial in study.trials] == [None, 0, 0, 0]
    assert dict(report_facts.done(load(tmp_path)))["Trials"] == "4 of 4: 1 trained, 1 failed"


def test_facts_say_what_was_asked(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, evaluator={"fail_every": 2}, band=None)
    run = load(tmp_path)
    facts = dict([*report_facts.asked(run), *report_facts.done(run)])
    assert facts["Target"] == "400M multiply-adds"
    assert facts["Objective"] == "soft, w = -0.07"
    assert facts["Search space"] == "efficientnet"
    assert facts["MACs searched"] == "no limit"
    assert facts["Controller"] == "random (default)"
    assert facts["Trials"].startswith("8 of 8: 8 trained, ")


def test_states_in_words(tmp_path: Path) -> None:
    make_run(tmp_path, trials=24, stop_after=10)
    assert report_facts.state_text(load(tmp_path)) == "stopped after 10 of 24 trials"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "journal.jsonl").touch()
    assert report_facts.state_text(load(tmp_path / "new")) == "nothing was recorded yet"


def test_a_running_search_says_what_is_left(tmp_path: Path) -> None:
    make_run(tmp_path, trials=24, stop_after=10)
    with Journal(tmp_path / "journal.jsonl"):
        run = load(tmp_path)
    assert report_facts.state_text(run) == "still running, 10 of 24 trials, about 0 s of evaluation left"
    run.history.trials = [
        replace(t, evaluation=replace(t.evaluation, seconds=30.0)) if t.evaluation else t for t in run.trials
    ]
    assert report_facts.state_text(run).endswith(", about 7 min 0 s of evaluation left")


def test_results_stand_first_and_what_differs_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "one", trials=8)
    make_run(tmp_path / "two", trials=4, evaluator={"fail_every": 1})
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "journal.jsonl").touch()
    table = report_facts.comparison([load(tmp_path / name) for name in ("one", "two", "three")])
    assert table["columns"][:4] == ["Accuracy", "MACs", "Params", "Best reward"]
    rows = {row[0]: dict(zip(table["columns"], row[1:], strict=True)) for row in table["rows"]}
    assert (rows["one"]["Trials"], rows["one"]["Failed"]) == ("8", "0")
    assert (rows["two"]["Failed"], rows["two"]["Accuracy"]) == ("4", "-")
    assert rows["three"]["State"] == "empty"
    assert ("Controller", "random (default)") in table["same"]
    assert table["differ"] == []


def test_runs_whose_rewards_mean_different_things_are_told_apart(tmp_path: Path) -> None:
    make_run(tmp_path / "one", trials=4)
    make_run(tmp_path / "two", trials=4, target_flops="300M", seed=3)
    table = report_facts.comparison([load(tmp_path / name) for name in ("one", "two")])
    assert table["columns"][-2:] == ["Target", "Seed"]
    assert [row[-2:] for row in table["rows"]] == [["400M multiply-adds", "0"], ["300M multiply-adds", "3"]]
    assert table["differ"] == ["Target"]


def test_the_most_frequent_failure_is_told(tmp_path: Path) -> None:
    make_run(tmp_path, trials=12, evaluator={"fail_every": 2})
    failed = sum(not t.ok for t in load(tmp_path).finished)
    assert dict(report_facts.done(load(tmp_path)))["Failed"] == (
        f"{failed} \u00d7 failed: RuntimeError: this network always fails"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (18_720, "5 h 12 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report_facts.duration(seconds) == text


def test_the_title_says_which_run_is_ahead_where_they_compare(tmp_path: Path) -> None:
    rewards = {}
    for seed, name in enumerate(("one", "two", "three")):
        best = make_run(tmp_path / name, trials=4, seed=seed).best
        assert best is not None
        assert best.reward is not None
        rewards[name] = best.reward
    first, second, third = sorted(rewards, key=lambda name: -rewards[name])

    def title(*names: str) -> str:
        found: str = report_facts.comparison([load(tmp_path / name) for name in names])["title"]
        return found

    against = f"reward {rewards[first]:.4f} against {rewards[second]:.4f}"
    assert title(second, first) == f"{first} is ahead of {second}: {against}"
    assert title(third, second, first) == f"{first} is ahead of 2 others: {against}"
    make_run(tmp_path / "other", trials=4, target_flops="300M")
    assert title(first, "other") == "2 runs side by side"


def test_no_study_of_ways_is_ahead_of_another(tmp_path: Path) -> None:
    argv = ["--arch", "efficientnet-b0", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--repeats", "2"]
    for seed in ("0", "1"):
        study = ["--compare", "width,resolution", "--ratios", "2", "--seed", seed, "--run-dir", str(tmp_path / seed)]
        assert grid.main([*argv, *study]) == 0
    assert report_facts.comparison([load(tmp_path / seed) for seed in "01"])["title"] == "2 runs side by side"


def test_one_trial_is_no_plural(tmp_path: Path) -> None:
    make_run(tmp_path, trials=1)
    assert report_facts.state_text(load(tmp_path)) == "finished, 1 trial"
