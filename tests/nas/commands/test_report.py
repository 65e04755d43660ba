import contextlib
import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas import config
from nas.commands import report
from nas.commands.grid import main as grid
from nas.commands.search import main as search
from nas.commands.trust import main as trust
from nas.journal import read, seal
from nas.runs import warm_start
from nas.runs.deployment import load_space
from search_space.errors import InputError
from tests.nas.report.test_page import Page
from tests.runs import make_run

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)<'


def test_command_writes_the_page_into_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, trials=8)
    assert report.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Report: {tmp_path / 'report.html'}\n"
    page = Page((tmp_path / "report.html").read_text())
    assert len(page.data["runs"][0]["trials"]["macs"]) == 8
    assert "finished, 8 trials" in page.text


def test_several_runs_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "one", trials=8)
    make_run(tmp_path / "two", trials=16, controller="evolution")
    monkeypatch.chdir(tmp_path)
    assert report.main(["one", "two"]) == 0
    page = Page((tmp_path / "comparison.html").read_text())
    assert [len(run["trials"]["macs"]) for run in page.data["runs"]] == [8, 16]
    assert [run["is_random"] for run in page.data["runs"]] == [True, False]
    assert ("table", {"id": "comparison"}) in page.tags


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(tmp_path)]) == 2
    assert "not a run: there is no journal.jsonl" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def rewritten(run: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change a run's events, under checksums that match."""
    events = list(read(run / "journal.jsonl"))
    change(events)
    (run / "journal.jsonl").write_bytes(b"".join(seal(event, number) for number, event in enumerate(events, 1)))


def finished(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if event["event"] == "finished")


WRONG: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "accuracy": (lambda e: finished(e)["evaluation"].update(accuracy=5), "accuracy must be from 0 to 1, got 5"),
    "missing key": (lambda e: finished(e).pop("reward"), "finished: KeyError: 'reward'"),
    "deep": (lambda e: e[0]["config"].update(space=json.loads("[" * 90 + "]" * 90)), "nested deeper than 40 levels"),
    "token": (lambda e: e[1]["trials"][0]["tokens"].__setitem__(0, 99), "not a proposal of this space"),
    "short": (lambda e: e[1]["trials"][0]["tokens"].pop(), "not a proposal of this space"),
    "header": (lambda e: e[0]["config"].pop("target_flops"), "target_flops"),
    "update": (lambda e: e.append({"event": "updated", "batch": 7, "signals": {}}), "update 7 follows update"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_content_under_matching_checksums_is_one_line_wherever_a_run_is_read(
    wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    make_run(run, trials=8, batch=4)
    change, message = WRONG[wrong]
    rewritten(run, change)
    before = (run / "journal.jsonl").read_bytes()
    new = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--trust", "0%"]
    for command, arguments in (
        (trust, [str(run), "--trust-code", "--budget", "100%"]),
        (search, ["--run-dir", str(run), "--resume", "--trust-code", "--quiet"]),
        (search, [*new, "--run-dir", str(tmp_path / "new"), "--warm-start", str(run)]),
    ):
        if wrong == "header" and "--warm-start" in arguments:
            continue  # what was found does not depend on what was asked for
        assert command(arguments) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error or "not a journal of the space" in error
    assert (run / "journal.jsonl").read_bytes() == before
    assert report.main([str(run)]) == 0
    assert message in (run / "report.html").read_text().replace("&#39;", "'")


def test_a_header_with_little_in_it_and_probabilities_of_other_decisions_are_shown(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8, batch=4)

    def change(events: list[dict[str, Any]]) -> None:
        for kind in ("controller", "evaluator"):
            events[0]["config"][kind] = {"name": events[0]["config"][kind]["name"]}
        events[0]["config"].pop("batch")
        for event in events:
            if event["event"] == "updated":
                event["signals"]["probabilities"] = [[0.5]] * 43

    rewritten(tmp_path, change)
    assert report.main([str(tmp_path)]) == 0
    assert "random (default)" in (tmp_path / "report.html").read_text()


def leaves(value: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where the plain values of nested settings are, and the settings themselves."""
    inner = (
        [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))] if isinstance(value, dict) else []
    )
    return [*([path] if path else []), *inner]


def test_a_run_made_hostile_in_every_field_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    run = tmp_path / "run"
    make_run(run, trials=3, evaluator="params")
    (header, *others), settings = read(run / "journal.jsonl"), config.resolve([{"target_flops": "400M"}])
    space = load_space(settings)
    for path in leaves(header["config"]):
        hostile = copy.deepcopy(header)
        inner = hostile["config"]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = "evil:Run"
        events = [hostile, *others]
        (run / "journal.jsonl").write_bytes(b"".join(seal(event, number) for number, event in enumerate(events, 1)))
        for goes_on in (["--run-dir", str(run), "--resume", "--quiet"], [str(run)]):
            for command in (search, grid) if len(goes_on) > 1 else (trust, report.main):
                code = command(goes_on)
                assert code in (0, 1, 2), path
                assert capsys.readouterr().err.count("\n") == (code > 0), path
        with contextlib.suppress(InputError):
            warm_start.read([str(run)], space, settings.objective)
    assert not (tmp_path / "ran").exists(), "a stranger's code"
