from pathlib import Path

import pytest

from nas.commands import grid as grid_search
from nas.report import data as report_data
from nas.report import facts as report_facts
from nas.report import study as report_study
from nas.report.answer import answer
from nas.report.networks import NetworkTable
from nas.runs.record import RunRecord, load
from tests.browser import WIDTHS, Browser
from tests.nas.grid.test_ways import SMALL
from tests.nas.report.test_page import Page

WAYS = "depth,width,resolution,compound"
FLAGS = ["--evaluator", "tests.toys:SteadyEvaluator", "--compare", WAYS, "--repeats", "3", "--quiet"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("studies")
    (root / "small.yaml").write_text(SMALL.to_yaml(name="small"))
    assert grid_search.main(["--arch", str(root / "small.yaml"), *FLAGS, "--run-dir", str(root / "study")]) == 0
    return root / "study"


@pytest.fixture(scope="module")
def run(path: Path) -> RunRecord:
    return load(path)


def test_each_way_is_a_line_from_the_baseline_on(run: RunRecord) -> None:
    points = report_study.points(run)
    assert run.compared is not None
    for group, way in enumerate(WAYS.split(",")):
        own = [point for point in points if point["group"] == group]
        assert [point["name"] for point in own] == ["baseline", f"{way}-2", f"{way}-4"]
        assert {point["label"] for point in own} == {way}
        for point in own:
            same = [t for t in run.trials if t.key == run.trials[point["trial"]].key]
            accuracies = [t.evaluation.accuracy for t in same if t.evaluation and t.evaluation.accuracy is not None]
            assert point["accuracy"] == pytest.approx(sum(accuracies) / 3, rel=1e-5)
            assert point["ratio"] == pytest.approx(same[0].macs / run.trials[points[0]["trial"]].macs, rel=1e-5)
            assert point["error"] > 0


def test_the_answer_is_the_journals(run: RunRecord) -> None:
    found = report_study.outcome(run)
    assert found is not None
    table = report_study.finalists(run)
    assert [row[0][-1] for row in table["rows"]] == [*"4444", *"2222", "e"]  # the largest cost first, the baseline last
    assert table["columns"][2] == "Compound less it"
    for row, score in zip(table["rows"][:4], found.costs[1].scores, strict=True):
        assert row[1].startswith(f"{score.accuracy.mean:.2%} ±")
        assert (row[2] == "") == row[0].startswith("compound")
    lines = report_study.verdict_lines(run)
    assert lines[0].startswith("At 4 times the baseline's cost compound scaling is ")
    assert any("true costs are within" in line for line in lines)
    assert report_study.title(run).endswith("at 4 times the cost")
    shown = answer(run, None)
    assert shown["title"] == report_study.title(run)
    assert "Asked for the best way to scale small" in shown["asked_text"]
    assert dict(report_facts.asked(run))["Ways of scaling"] == "depth, width, resolution, compound"
    assert "--resume --ratios 2,4,8" in dict(report_study.commands(run))["Go on to a larger cost"]
    data = report_data.run_data(run, NetworkTable())
    assert (data["decisions"], data["effects"], data["iso_rewards"]) == ([], [], [])
    assert [item["name"] for item in data["references"]] == ["baseline"]
    assert report_study.family_table(run)["rows"] == []


def test_a_study_ends_with_its_page(path: Path) -> None:
    page = Page((path / "report.html").read_text())
    assert "Accuracy over cost, by way of scaling" in page.text
    assert "12 pairs share the chance of a false alarm" in page.text


def test_a_study_that_is_not_over_says_what_it_knows(path: Path, tmp_path: Path) -> None:
    lines = (path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    second = next(i for i, line in enumerate(lines) if b'"batch":1' in line)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:second]))
    run = load(tmp_path)
    assert run.state == "stopped"
    assert report_study.title(run).endswith("at 2 times the cost")
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:6]))
    run = load(tmp_path)
    assert report_study.title(run) == "No ways of scaling are compared yet"
    assert report_study.verdict_lines(run) == ["Nothing is compared yet."]
    assert report_study.commands(run) == []
    assert report_study.finalists(run)["rows"] == []


@pytest.mark.slow
def test_the_page_draws_every_network_with_its_error(browser: Browser, path: Path, run: RunRecord) -> None:
    for size, theme in (("wide", "light"), ("phone", "dark")):
        browser.open(path / "report.html", size, theme)
        assert browser.logs("browser") == []
        layers = "byId('family-chart').figure.layers.filter((l) => l.kind === arguments[0]).map((l) => [l.x, l.y])"
        drawn = browser.js(layers, "points")
        assert drawn == browser.js(layers, "line")
        points = report_study.points(run)
        for group, (x, y) in enumerate(drawn):
            own = [point for point in points if point["group"] == group]
            assert (x, y) == ([p["ratio"] for p in own], [p["accuracy"] for p in own])
        assert browser.js("byId('family-chart').querySelectorAll('.error').length") == len(points)
        assert browser.text("#family-legend") == "".join(
            mark + way for mark, way in zip("●◆■▲", WAYS.split(","), strict=True)
        )
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_the_page_fits_every_screen(browser: Browser, path: Path) -> None:
    browser.open(path / "report.html")
    for width in WIDTHS:
        browser.resize(width)
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.cut_off() == []
