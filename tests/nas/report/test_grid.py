import shutil
from pathlib import Path

import numpy as np
import pytest

from nas.commands import grid as grid_search
from nas.report import data as report_data
from nas.report import facts as report_facts
from nas.report import grid as report_grid
from nas.report import page as report
from nas.report.networks import NetworkTable
from nas.runs.record import RunRecord, load
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io import strict_yaml
from tests.browser import Browser

ARGV = ["--arch", "efficientnet-b0", "--phi", "1", "--evaluator", "tests.toys:ToyEvaluator", "--quiet"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grids") / "grid"
    assert grid_search.main([*ARGV, "--run-dir", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def run(path: Path) -> RunRecord:
    return load(path)


def test_points_are_the_journals(run: RunRecord) -> None:
    points = report_grid.points(run)
    assert sum(point["seeds"] for point in points) == len(run.trials)
    b0 = count(Architecture.load("efficientnet-b0")).macs
    for point in points:
        rung, candidate, _ = (run.trials[point["trial"]].tokens[i] for i in (1, 0, 2))
        same = [t for t in run.trials if t.tokens[:2] == (candidate, rung)]
        accuracies = [t.evaluation.accuracy for t in same if t.evaluation]
        assert point["accuracy"] == pytest.approx(np.mean(accuracies), rel=1e-5)
        assert point["ratio"] == pytest.approx(same[0].macs / b0, rel=1e-5)
        if point["last"]:
            assert point["error"] == pytest.approx(np.std(accuracies, ddof=1) / len(same) ** 0.5, rel=1e-5)
        else:
            assert point["error"] is None


def test_winner_and_family_are_those_of_the_files(path: Path, run: RunRecord) -> None:
    document = strict_yaml.load((path / "coefficients.yaml").read_text(), "coefficients")
    found = report_grid.outcome(run)
    assert found is not None
    assert run.grid is not None
    triple = found.coefficients(run.grid[1])
    assert (triple.alpha, triple.beta, triple.gamma) == tuple(document[name] for name in ("alpha", "beta", "gamma"))
    assert report_grid.verdict_lines(run)[0].startswith("The ")
    rows = report_grid.finalists(run)["rows"]
    assert [row[0].partition(" /")[0] for row in rows] == [
        f"{c['alpha']:g}" for c in document["candidates"] if "accuracy" in c
    ]
    rows = report_grid.family_table(run)["rows"]
    files = sorted((path / "family").iterdir())
    assert [row[3] for row in rows] == [str(Architecture.load(file).resolution) for file in files]


def test_a_grid_has_a_record(run: RunRecord) -> None:
    assert run.state == "finished"
    assert run.best_trial is not None
    assert run.best_trial.tokens[1] == 2  # only the longest training counts
    data = report_data.run_data(run, NetworkTable())
    assert (data["effects"], data["beliefs"], data["iso_rewards"]) == ([], None, [])
    assert [item["name"] for item in data["references"]] == ["baseline"]
    facts = dict(report_facts.asked(run))
    assert facts["Baseline"] == "efficientnet-b0"
    assert facts["Target"] == "2 times its multiply-adds"


def test_a_grid_ends_with_its_page(path: Path) -> None:
    text = (path / "report.html").read_text()
    assert "alpha / beta / gamma = " in text


def test_a_grid_that_is_not_over_has_no_winner(path: Path, tmp_path: Path) -> None:
    lines = (path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:-3]))
    run = load(tmp_path)
    assert run.state == "stopped"
    assert report_grid.outcome(run) is None
    assert report_grid.family_table(run)["rows"] == report_grid.finalists(run)["rows"] == []
    assert report_grid.commands(run) == []
    assert report_grid.verdict_lines(run) == ["No triple has won."]


@pytest.mark.slow
def test_the_page_shows_every_network_with_its_error(browser: Browser, path: Path, run: RunRecord) -> None:
    browser.open(path / "report.html")
    points = report_grid.points(run)
    layers = "byId('family-chart').figure.layers.filter((l) => l.kind === 'points')"
    layers += ".map((l) => [l.x, l.y, l.error ?? null, l.items.map((t) => t.number)])"
    for rung, (x, y, errors, trials) in enumerate(browser.js(layers)):
        own = [p for p in points if p["group"] == rung]
        assert (x, y) == ([p["ratio"] for p in own], [p["accuracy"] for p in own])
        assert trials == [p["trial"] for p in own]
        if own[0]["last"]:
            half = [high - mean for (_, high), mean in zip(errors, y, strict=True)]
            assert half == pytest.approx([p["error"] for p in own])
        else:
            assert errors is None
    assert browser.js("document.querySelectorAll('.family tbody tr').length") == 8
    assert len(browser.js("[...byId('found').tBodies[0].rows]")) == len(report_grid.finalists(run)["rows"])
    low, high = browser.js("byId('family-chart').figure.y.limits")
    assert 0 <= low < high <= 1
    shown = browser.js(
        "[...document.querySelectorAll('main section')].filter((s) => s.checkVisibility()).map((s) => s.id)"
    )
    assert shown == ["answer", "family", "network", "comparing", "trials"]  # and nothing that does not apply
    best = run.best_trial
    assert best is not None
    triple = str(run.grid[1].candidates[best.tokens[0]].coefficients) if run.grid else ""
    assert triple in browser.text("#network-facts b")
    assert triple in browser.text("#table tr.selected .column-triple")
    assert browser.logs("browser") == []


def test_a_grid_beside_a_search(path: Path, tmp_path: Path) -> None:
    from tests.runs import make_run

    make_run(tmp_path / "search", trials=8)
    page = report.render([load(path), load(tmp_path / "search")])
    assert "The grid and its family" in page


def test_a_finished_grid_has_its_winner_while_larger_phis_are_checked(path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(path, run)
    whole = load(run)
    go_on = ["--run-dir", str(run), "--resume", "--trust-code", "--quiet", "--check-phi", "2"]
    assert grid_search.main(go_on) == 0
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run / "journal.jsonl").write_bytes(b"".join(lines[:-2]))
    cut = load(run)
    assert cut.state == "stopped"
    assert report_grid.title(cut) == report_grid.title(whole)
    assert report_grid.verdict_lines(cut) == report_grid.verdict_lines(whole)
    assert [what for what, _ in report_grid.commands(cut)] == [what for what, _ in report_grid.commands(whole)]


def test_the_page_of_a_grid_names_files_that_are_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert grid_search.main([*ARGV, "--family", "0", "--run-dir", str(run)]) == 0
    assert 'href="coefficients.yaml"' in (run / "report.html").read_text()
    first = report_grid.commands(load(run))[0][1]
    assert (run / "family" / "efficientnet-b0-0.yaml").is_file()
    assert f"{run}/family/efficientnet-b0-0.yaml" in first
