from pathlib import Path

import pytest

from nas.commands import report
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
