import random
from pathlib import Path
from typing import Any

import pytest

from nas.commands.search import main as search
from nas.commands.trust import main
from nas.journal import read, seal
from nas.runs.directory import JOURNAL
from tests.runs import make_run

STEADY = "tests.toys:SteadyEvaluator"


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def verdict(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = (line for line in told(capsys) if line.startswith("This answer"))
    return line


def finished(folder: Path) -> int:
    return sum(row["event"] == "finished" for row in read(folder / JOURNAL))


def test_a_ranking_that_holds_is_said_to_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run", evaluator=STEADY)
    assert main([str(tmp_path / "run"), "--budget", "400%", "--trust-code"]) == 0
    out = told(capsys)
    assert "(400% of the search's 24 s)" in out[0]
    assert "Rank correlation of accuracies with 4 times longer training" in "\n".join(out)
    assert "This answer is worth something: longer training ranks as it does" in out[-1]
    assert (tmp_path / "run" / "trust.txt").read_text().splitlines() == ["Trust report after 24 trials", *out[1:]]
    assert out[-1].rpartition(" (")[0] in (tmp_path / "run" / "report.html").read_text()


def test_shuffled_rewards_are_said_to_be_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run", evaluator=STEADY)
    journal = tmp_path / "run" / JOURNAL
    events = list(read(journal))
    rows = [row for row in events if row["event"] == "finished"]
    results: list[tuple[Any, Any]] = [(row["evaluation"], row["reward"]) for row in rows]
    random.Random(2).shuffle(results)
    for row, (evaluation, reward) in zip(rows, results, strict=True):
        row["evaluation"], row["reward"] = evaluation, reward
    journal.write_bytes(b"".join(seal(event, number) for number, event in enumerate(events, 1)))
    assert main([str(tmp_path / "run"), "--budget", "25%", "--trust-code"]) == 0
    assert "its better networks do not differ by more than a seed moves them" in told(capsys)[-1]
    assert main([str(tmp_path / "run"), "--budget", "400%", "--trust-code"]) == 0
    assert "as far as measured its ranking is noise to longer training" in told(capsys)[-1]


def test_an_evaluator_that_is_noise_is_said_to_be_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run")
    assert main([str(tmp_path / "run"), "--budget", "400%", "--trust-code"]) == 0
    out = told(capsys)
    assert "its ranking is noise" in out[-1]
    assert "not distinguishable from efficientnet-b0" in out[-1]


def test_a_report_goes_on_and_a_larger_one_adds_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    make_run(run, evaluator=STEADY)
    assert main([str(run), "--budget", "100%", "--trust-code"]) == 0
    first, small = told(capsys), finished(run / "trust" / "24")
    assert main([str(run), "--budget", "100%", "--trust-code"]) == 0
    again = told(capsys)
    assert again[0].startswith("Trust report: 0 trainings, about 0 s")
    assert again[1:] == first[1:]
    assert finished(run / "trust" / "24") == small
    # Cut the journal in the middle of the batch, as a kill does.
    journal = run / "trust" / "24" / JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-4]))
    assert main([str(run), "--budget", "100%", "--trust-code"]) == 0
    assert told(capsys)[1:] == first[1:]
    assert main([str(run), "--budget", "400%", "--trust-code"]) == 0
    assert finished(run / "trust" / "24") > small


def test_too_small_a_budget_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run", trials=8)
    assert main([str(tmp_path / "run"), "--trust-code"]) == 0
    assert "Trust: not measured, 20% of 8 trainings is too little; to measure more: nas-trust" in told(capsys)[0]
    assert not (tmp_path / "run" / "trust").exists()


def test_trainings_that_take_longer_than_thought_end_at_the_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "run", evaluator=STEADY)
    monkeypatch.setattr("nas.trust.measure.OVERRUN", 0.2)
    assert main([str(tmp_path / "run"), "--budget", "400%", "--trust-code"]) == 0
    assert "Stopped at the budget" in told(capsys)[1]
    assert 0 < finished(tmp_path / "run" / "trust" / "24") < 20


def test_what_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--trust-code"]) == 2
    assert "not a run" in capsys.readouterr().err
    make_run(tmp_path / "run", stop_after=2)
    assert main([str(tmp_path / "run"), "--budget", "50%", "--trust-code"]) == 1
    assert "2 networks with an accuracy; a trust report needs 3" in capsys.readouterr().err


def test_a_strangers_run_writes_nowhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--target-flops", "400M", "--controller", "random", "--epochs", "1", "--trials", "1", "--batch", "1"]
    flags += ["--set", "evaluator.max_images=100", "--set", f"evaluator.keep={tmp_path / 'kept'}", "--quiet"]
    assert search([*flags, "--run-dir", str(tmp_path / "run")]) == 0
    (tmp_path / "kept").rename(tmp_path / "moved")
    for command, argv in ((main, []), (search, ["--trials", "2", "--resume", "--quiet", "--run-dir"])):
        assert command([*argv, str(tmp_path / "run")]) == 2
        assert "names folders that this may write to: " in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


def test_scores_without_training_cannot_be_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--target-flops", "400M", "--controller", "random", "--evaluator", "params", "--trials", "8", "--quiet"]
    assert search([*flags, "--run-dir", str(tmp_path / "run")]) == 0
    assert "rust" not in told(capsys)[-1]
    assert main([str(tmp_path / "run")]) == 1
    assert "evaluator params trains nothing, so longer training cannot say what it is worth" in capsys.readouterr().err
    assert not (tmp_path / "run" / "trust").exists()


def test_every_search_ends_with_what_it_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--target-flops", "400M", "--controller", "random", "--evaluator", STEADY, "--trials", "24", "--quiet"]
    assert search([*flags, "--run-dir", str(tmp_path / "a")]) == 0
    assert verdict(capsys).startswith("This answer is worth what longer training would say of it")
    assert search([*flags, "--trust", "0%", "--run-dir", str(tmp_path / "b")]) == 0
    assert any(line.startswith("Trust: not measured, 0% of 24 trainings is too little") for line in told(capsys))
    assert search([*flags, "--trust", "much", "--run-dir", str(tmp_path / "c")]) == 2
    assert "--trust: expected a percentage" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_a_search_that_trained_some_on_can_be_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["epochs=1", "max_images=200", "width=0.25", "resolution=8", "device=cpu"]
    flags = [flag for setting in small for flag in ("--set", f"evaluator.{setting}")]
    flags += ["--target-flops", "400M", "--controller", "random", "--promote", "2", "--quiet", "--trust", "100%"]
    assert search([*flags, "--batch", "4", "--trials", "5", "--run-dir", str(tmp_path / "run")]) == 0
    lines = told(capsys)
    caveat = lines[-1]
    assert any("are those of always answering the largest class (10.0%)" in line for line in lines)
    assert search([*flags, "--trust", "0%", "--trials", "1", "--run-dir", str(tmp_path / "one")]) == 0
    assert verdict(capsys).startswith("This answer is worth nothing: accuracies, ")
    assert "nas-search --target-flops 400M --evaluator-preset small --data folder:DIR" in caveat
    assert not (tmp_path / "run" / "trust").exists()


def test_the_page_of_a_search_says_what_it_is_worth_beside_its_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--target-flops", "400M", "--controller", "random", "--evaluator", STEADY, "--trials", "24", "--quiet"]
    assert search([*flags, "--run-dir", str(tmp_path / "a")]) == 0
    sentence = verdict(capsys).partition(" (")[0]
    assert f"<p>{sentence}" in (tmp_path / "a" / "report.html").read_text()


def test_where_nothing_is_trained_no_training_is_asked_what_it_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--target-flops", "400M", "--controller", "random", "--evaluator", "tests.toys:LookedUp"]
    assert search([*flags, "--trials", "24", "--quiet", "--run-dir", str(tmp_path / "run")]) == 0
    out = told(capsys)
    assert any(line.startswith("Report: ") for line in out)
    assert "This answer" not in "".join(out)
    assert main([str(tmp_path / "run"), "--trust-code"]) == 1
    assert "evaluator tests.toys:LookedUp trains nothing" in capsys.readouterr().err


def test_a_report_on_too_few_networks_does_not_name_a_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "run", trials=5, evaluator=STEADY)
    assert main([str(tmp_path / "run"), "--budget", "400%", "--trust-code"]) == 0
    assert "(5 networks are too few to measure more)" in told(capsys)[-1]
