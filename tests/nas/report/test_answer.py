from dataclasses import replace
from pathlib import Path

from nas.config import TOLD
from nas.report.answer import answer, parts
from nas.report.facts import versions
from nas.runs.directory import trust_title
from nas.runs.record import load
from search_space.io.amounts import format_amount
from tests.runs import make_run


def test_the_best_stands_beside_b0(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=8)
    best, b0 = study.best, study.references["efficientnet-b0"]
    assert best is not None
    assert best.evaluation is not None
    shown = answer(load(tmp_path), None)
    accuracy = f"{best.evaluation.accuracy:.2%}"
    assert shown["title"] == f"{accuracy} with {format_amount(best.macs)} multiply-adds, the best of 8 networks"
    first, second = shown["found"]["rows"]
    cost = [format_amount(best.macs), format_amount(best.params)]
    assert first == [f"trial {best.number}, the best", accuracy, *cost, f"{best.reward:.4f}"]
    assert second[:4] == ["efficientnet-b0", f"{b0.accuracy:.2%}", "385.8M", "5.289M"]
    assert shown["asked_text"].startswith("Asked for the best network of about 400M multiply-adds in the space effic")
    assert "torch" in versions(load(tmp_path))


def test_a_reference_that_was_not_evaluated_is_said_to_be_so(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, stop_after=3)
    shown = answer(load(tmp_path), None)
    assert shown["found"]["rows"][1][:3] == ["efficientnet-b0", "not evaluated", "385.8M"]
    assert ", so far the best of 3 networks" in shown["title"]


def test_the_verdict_stands_with_its_intervals(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    assert answer(load(tmp_path), None)["sure"][0].startswith("Not measured: ")
    lead = "Winner minus efficientnet-b0, trained longer: +0.40 points of accuracy [-1.00, +1.80], not distinguishable"
    sentence = "This answer is worth something (to measure more: nas-trust runs/mine --budget 240%)."
    (tmp_path / "trust.txt").write_text(f"{trust_title(8)}\nAmong the better half\n{lead}\n{sentence}\n")
    shown = answer(load(tmp_path), None)
    assert shown["sure"] == ["This answer is worth something.", lead]  # the command stands among the others
    assert ("Be surer", f"nas-trust {tmp_path} --trust-code --budget 240%") in shown["commands"]
    (tmp_path / "trust.txt").write_text(f"{trust_title(4)}\n{lead}\n{sentence}\n")
    assert answer(load(tmp_path), None)["sure"][0].startswith("Not measured: ")


def test_what_was_looked_up_cannot_be_measured(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, evaluator="tests.toys:LookedUp")
    shown = answer(load(tmp_path), None)
    assert shown["sure"][0].startswith("Not measured: these accuracies were looked up")
    assert not any("nas-trust" in command for _, command in shown["commands"])


def test_commands_name_the_run_whatever_it_is_called(tmp_path: Path) -> None:
    run = tmp_path / "a; rm -rf $HOME"
    make_run(run, trials=8)
    commands = dict(answer(load(run), None)["commands"])
    assert commands["Train it in full"] == f"nas-train --run '{run}'"
    assert commands["Scale it up"] == f"nas-scale '{run}/best.yaml' --phi 3 -o larger.yaml"
    make_run(tmp_path / "stopped", trials=8, stop_after=3)
    first = answer(load(tmp_path / "stopped"), None)["commands"][0]
    assert first == ("Go on", f"nas-search --run-dir {tmp_path / 'stopped'} --resume --trust-code")


def test_what_is_trained_next_is_trained_on_the_runs_own_images(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    run = load(tmp_path)
    run.history.config["evaluator"] |= {"data": "folder:my photos", "mirror": False}
    command = dict(answer(run, None)["commands"])["Train it in full"]
    assert command == f"nas-train --run {tmp_path} --data 'folder:my photos' --no-mirror"
    run.history.config["evaluator"] |= {"data": "digits", "mirror": None}
    assert dict(answer(run, None)["commands"])["Train it in full"] == f"nas-train --run {tmp_path}"


def test_a_run_that_is_told_goes_on_by_its_own_loop(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, stop_after=3)
    run = load(tmp_path)
    run.history.config["evaluator"] |= {"name": TOLD}
    assert "Go on" not in dict(answer(run, None)["commands"])


def test_a_run_of_nas_fit_goes_on_with_nas_fit(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, stop_after=3)
    run = load(tmp_path)
    run.history.config |= {"final": 2}
    run.history.config["evaluator"] |= {"inherit": "a.safetensors", "parent": "a.yaml"}
    assert answer(run, None)["commands"][0][1].startswith(f"nas-fit --run-dir {tmp_path} --resume")


def test_links_lead_from_the_page_to_files_that_are_there(tmp_path: Path) -> None:
    run = tmp_path / "a run?"
    make_run(run, trials=8)
    assert answer(load(run), run)["files"] == [(n, n) for n in ("best.yaml", "trials.csv", "config.yaml")]
    assert answer(load(run), tmp_path)["files"][0] == ("best.yaml", "a%20run%3F/best.yaml")
    assert answer(load(run), None)["files"][0] == (str(run / "best.yaml"), "")
    (run / "best.yaml").unlink()
    assert "best.yaml" not in dict(answer(load(run), run)["files"])


def test_failures_only_are_told(tmp_path: Path) -> None:
    make_run(tmp_path, trials=5, evaluator={"fail_every": 1})
    texts = answer(load(tmp_path), None)
    assert texts["found"] is None
    assert texts["title"] == "No network could be evaluated"
    (notice,) = texts["notices"]
    assert notice == (
        "No network could be evaluated: all 5 failed, the first failed: RuntimeError: this network always fails"
    )


def test_known_networks_that_did_better_are_named(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    record = load(tmp_path)
    assert answer(record, None)["found"]["share"].endswith("of the target of 400M multiply-adds.")
    known = record.references["efficientnet-b0"]
    record.references["efficientnet-b0"] = replace(known, accuracy=1.0)
    share = answer(record, None)["found"]["share"]
    assert share.endswith(" A higher reward than the best that was found: efficientnet-b0.")


def test_a_command_is_broken_between_flags_only() -> None:
    command = "nas-scale 'a b/best.yaml' --phi 3 -o larger.yaml --resume"
    assert parts(command) == ["nas-scale", "'a", "b/best.yaml'", "--phi 3", "-o larger.yaml", "--resume"]
    assert " ".join(parts(command)) == command


def test_measuring_a_run_of_own_code_says_that_it_is_trusted(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, evaluator="tests.toys:ToyEvaluator")
    commands = dict(answer(load(tmp_path), None)["commands"])
    assert commands["Measure how sure it is"] == f"nas-trust {tmp_path} --trust-code"
