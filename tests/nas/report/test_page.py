import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from nas.commands import report as report_command
from nas.commands import search
from nas.journal import Journal
from nas.report import page as report
from tests.runs import make_run

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)<'


class Page(HTMLParser):
    """The elements, texts and embedded data of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.data: Any = None
        self._inside: tuple[str, str | None] = ("", None)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ("", None)

    def handle_data(self, data: str) -> None:
        if self._inside == ("script", "data"):
            self.data = json.loads(data)
        elif self._inside[0] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(*runs: Path) -> Page:
    return Page(report.render([report.load(run) for run in runs]))


def test_a_search_ends_with_its_page(tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--run-dir", str(run), "--quiet"]
    assert search.main([*argv, "--controller", "random", "--trials", "8"]) == 0
    assert "finished, 8 trials" in Page((run / "report.html").read_text()).text


def test_a_search_without_success_ends_with_its_page(tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--run-dir", str(run), "--quiet"]
    assert search.main([*argv, "--controller", "random", "--trials", "4", "--set", "evaluator.fail_every=1"]) == 1
    assert "all 4 failed, the first failed: RuntimeError" in Page((run / "report.html").read_text()).text


def test_an_interrupted_run_is_stopped_not_running(tmp_path: Path) -> None:
    make_run(tmp_path, trials=24, stop_after=10)
    with Journal(tmp_path / "journal.jsonl"):
        report.write_ended(tmp_path)
    assert "stopped after 10 of 24 trials" in Page((tmp_path / "report.html").read_text()).text


def test_hostile_names_and_reasons_stay_text(tmp_path: Path) -> None:
    run = tmp_path / HOSTILE.replace("/", "")
    make_run(run, trials=8, evaluator={"fail_every": 2, "fail_with": f"</script>{HOSTILE}"})
    page = page_of(run)
    assert ("img", {"src": "x", "onerror": "alert(1)"}) not in page.tags
    assert [tag for tag, _ in page.tags].count("script") == 2  # the data, our own
    assert HOSTILE in page.text
    assert HOSTILE in " ".join(page.data["runs"][0]["reasons"])


def test_the_policy_allows_our_scripts_by_digest_and_no_network(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    page = page_of(tmp_path)
    (policy,) = [attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='$", policy)
    assert not re.findall(r"unsafe-eval|https?:", policy)


def test_a_damaged_journal_gives_a_page_that_says_so(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"{broken\n", *lines[4:]]))
    page = page_of(tmp_path)
    assert "damaged, 2 trials can be read" in page.text
    assert "line 5: damaged" in page.text


def test_damage_in_the_header_still_gives_a_page(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"\xff\xfe\n")
    page = page_of(tmp_path)
    assert "line 1: damaged" in page.text
    assert "nothing to show" in page.text


def test_one_trial_and_none(tmp_path: Path) -> None:
    make_run(tmp_path / "one", trials=1)
    assert len(page_of(tmp_path / "one").data["runs"][0]["trials"]["macs"]) == 1
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "journal.jsonl").touch()
    assert "nothing was recorded yet" in page_of(tmp_path / "none").text


def test_a_run_of_32_trials_is_small(tmp_path: Path) -> None:
    make_run(tmp_path, trials=32)
    assert report_command.main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
