from pathlib import Path

import pytest

from nas.bench import table as bench_table
from nas.bench.run import Run
from nas.report import bench as report_bench
from tests.browser import Browser
from tests.nas.report.test_page import Page


def run(controller: str, seed: int, best: tuple[float, ...]) -> Run:
    return Run(controller=controller, seed=seed, best=best, tokens=(0,), beats_reference_at=None, seconds_per_trial=0.5)


RUNS = [
    run("a", 0, (0.1, *[0.5] * 98, 0.9)),
    run("a", 1, (0.3, *[0.5] * 98, 1.0)),
    run("b", 0, (0.0, *[0.2] * 98, 0.3)),
    run("b", 1, (0.0, *[0.6] * 98, 0.7)),
]


def page(reference: float | None = 0.5) -> str:
    rows = bench_table.table(RUNS, 1.0, reference)
    return report_bench.render(RUNS, rows, 1.0, reference, "imagenet: T = 400M.")


def test_curves_are_means_over_seeds_with_one_deviation_around_them() -> None:
    data = Page(page()).data
    a, b = data["curves"]
    assert (a["name"], b["name"]) == ("a", "b")
    assert (a["x"][0], a["x"][-1]) == (1, 100)
    assert a["mean"][0] == pytest.approx(0.2)
    assert (a["low"][0], a["high"][0]) == (pytest.approx(0.1), pytest.approx(0.3))
    assert b["mean"][-1] == pytest.approx(0.5)
    assert data["low"] == pytest.approx(0.4)  # not the 0 before anything has happened
    assert (data["best"], data["known"]) == (1.0, 0.5)


def test_without_a_reference_nothing_is_said_of_it() -> None:
    assert Page(page(None)).data["known"] is None
    assert "2 controllers against each other" in Page(page()).text
    assert "imagenet: T = 400M." in Page(page()).text


@pytest.mark.slow
def test_bands_have_the_colour_of_their_lines(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bench.html").write_text(page(), encoding="utf-8")
    for size, theme in (("phone", "dark"), ("wide", "light")):
        browser.open(tmp_path / "bench.html", size, theme)
        colours = "[...document.querySelectorAll(arguments[0])].map((n) => getComputedStyle(n)[arguments[1]])"
        assert browser.js(colours, "path.band", "fill") == browser.js(colours, "path.line", "stroke")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        assert browser.logs("browser") == []
        assert browser.js("byId('goto').checkVisibility()") is False  # an empty menu
