"""The report in a real browser: whether it can be used by everyone, on any screen, with thousands of trials, live."""

from __future__ import annotations

import csv
import itertools
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nas.commands import report as report_command
from nas.report import page as report
from nas.report.server import ReportServer
from nas.runs.record import load
from tests.browser import SIZES, WIDTHS, Browser
from tests.nas.report.conftest import Shown
from tests.runs import make_run

pytestmark = pytest.mark.slow
CSS = Path(report.__file__).parent / "assets" / "page.css"


def cells(browser: Browser, column: str) -> list[str]:
    script = """
      const index = [...byId('table').tHead.rows[0].cells].findIndex((c) => c.dataset.column === arguments[0]);
      return [...byId('table').tBodies[0].rows].map((row) => row.cells[index].textContent);
    """
    found: list[str] = browser.js(script, column)
    return found


def test_table_sorts(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    by_reward = sorted(run.finished, key=lambda t: (-(t.reward or 0), t.number))
    assert cells(browser, "number") == [str(t.number) for t in by_reward][:25]
    browser.find("#table th[data-column=macs] button").click()
    by_macs = sorted(run.trials, key=lambda t: (-t.macs, t.number))
    assert cells(browser, "number") == [str(t.number) for t in by_macs][:25]
    browser.find("#table th[data-column=macs] button").click()
    assert cells(browser, "number") == [str(t.number) for t in sorted(run.trials, key=lambda t: t.macs)][:25]
    assert browser.js("document.querySelector('[data-column=macs]').getAttribute('aria-sort')") == "ascending"
    browser.find("#page-on").click()
    assert len(cells(browser, "number")) == len(run.trials) - 25
    browser.find("#table th[data-column=accuracy] button").click()
    browser.find("#page-on").click()
    assert cells(browser, "accuracy")[-1] == "\u2013"  # a failed trial comes last


def test_table_filters(browser: Browser, pages: dict[str, Shown], tmp_path: Path) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    failed = [t for t in run.finished if not t.ok]
    browser.find("#filter").send_keys("ALWAYS fails")
    assert sorted(map(int, cells(browser, "number"))) == [t.number for t in failed]
    browser.find("#filter").clear()
    browser.find("#filter").send_keys(failed[0].key)
    assert cells(browser, "number") == [str(failed[0].number)]
    browser.find("#filter").send_keys("nonsense")
    assert browser.text("#page") == "no trial matches"
    browser.open(pages["plain"].page)
    browser.js("return (byId('status').value = 'failed', byId('status').dispatchEvent(new Event('change')))")
    assert browser.text("#count") == f"{len(failed)} of {len(run.trials)} trials"
    rows = list(csv.DictReader(browser.js("tableCsv()").splitlines()))
    assert sorted(int(row["trial"]) for row in rows) == [t.number for t in failed]
    assert {row["reason"] for row in rows} == {"RuntimeError: this network always fails"}


def test_files_are_saved(browser: Browser, pages: dict[str, Shown], tmp_path: Path) -> None:
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path), "eventsEnabled": False}
    )
    browser.open(pages["plain"].page)
    browser.find("#save-csv").click()
    browser.find("#yaml-fold summary").click()
    browser.find("#save-yaml").click()
    deadline = time.monotonic() + 20
    while {path.name for path in tmp_path.iterdir()} != {"trials.csv", "architecture.yaml"}:
        assert time.monotonic() < deadline, list(tmp_path.iterdir())
        time.sleep(0.1)
    assert (tmp_path / "architecture.yaml").read_text() == browser.text("#yaml")
    browser.find("#copy").click()
    browser.wait("byId('copied').textContent")


def test_a_row_selects_its_trial(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    number = cells(browser, "number")[4]
    browser.find("#table tbody tr:nth-child(5) td:nth-child(3)").click()
    assert browser.text("#network-facts b") == f"Trial {number}"
    assert browser.js("document.querySelector('#table tr.selected').dataset.trial") == number


def test_an_address_restores_a_selection(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page, fragment="#trial=13")
    assert browser.text("#network-facts b") == "Trial 13"
    browser.js("return (location.hash = '#trial=5&keep=7,r0')")
    browser.wait("byId('network-facts').querySelector('b').textContent === 'Trial 5'")
    assert browser.js("compared().map(addressOf)") == ["7", "r0", "5"]
    browser.open(pages["plain"].page, fragment="#trial=r0")
    assert browser.text("#network-facts b") == "efficientnet-b0"
    browser.open(pages["plain"].page, fragment="#trial=99999&keep=x,9999")
    assert browser.text("#network-facts b").endswith("the best")
    browser.open(pages["compared"].page, fragment="#trial=1.4")
    assert browser.text("#network-facts b") == "random: Trial 4"


QUESTIONS = {
    "which network": r"trial \d+, the best",
    "how good": r"\d\d\.\d\d% with ",
    "how sure": r"How sure this is",
    "against what": r"efficientnet-b0\s+\d",
    "at what cost": r"costs \d+% of the target of 400M multiply-adds",
    "on which data": r"judged by \S+",
    "how long": r"Time evaluating\s+\d+ s",
    "where is the file": r"best\.yaml\s+trials\.csv",
    "what next": r"nas-train --run ",
    "what failed": r"Failed\s+\d+ \u00d7 failed: RuntimeError: this network always fails",
}
"""What a newcomer asks, and what on the first screen answers it."""


def test_the_first_screen_answers_a_newcomer(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    browser.resize(1280, 800)
    script = """
      return [...byId('answer').querySelectorAll('h1, p, h2, th, td, dt, dd, li')].filter((n) =>
        n.checkVisibility() && n.getBoundingClientRect().bottom <= innerHeight).map((n) => n.innerText).join(' ')
    """
    text = browser.js(script)
    assert {question: bool(re.search(answer, text)) for question, answer in QUESTIONS.items()} == dict.fromkeys(
        QUESTIONS, True
    )


def test_a_choice_keeps_what_took_it_everywhere(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    assert run.space is not None
    name = browser.js("document.querySelector('[data-choice]').dataset.choice")
    browser.js("document.querySelector('[data-choice]').dispatchEvent(new Event('click'))")
    decision, choice = name.split("=")
    place = [d.name for d in run.space.decisions].index(decision)
    token = run.space.decisions[place].choices.index(choice)
    taken = {t.number for t in run.trials if t.tokens[place] == token}
    assert 0 < len(taken) < len(run.trials)
    assert {int(n) for n in cells(browser, "number")} == taken
    for chart in ("tradeoff-chart", "progress-chart"):
        script = "return [...new Set(charts.find((c) => c.node.id === arguments[0]).spots.filter((s) => s.item.number"
        strong = browser.js(script + " >= 0 && !s.mark.matches('.pale')).map((s) => s.item.number))]", chart)
        assert set(strong) == taken
    browser.find("#clear").click()
    assert browser.js("document.querySelectorAll('.pale').length") == 0


def overlaps(browser: Browser) -> list[list[str]]:
    """Pairs of texts of one chart that lie over each other."""
    script = """
      const pairs = [];
      for (const image of document.querySelectorAll('.chart svg, figure svg')) {
        const boxes = [...image.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]);
        boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
          const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
          const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
          if (wide > 1 && high > 5) pairs.push([a, b]);
        }));
      }
      return pairs;
    """
    found: list[list[str]] = browser.js(script)
    return found


def test_labels_never_overlap_and_print_has_all_charts(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    for width in (390, 1280):
        browser.resize(width)
        assert overlaps(browser) == []
    assert browser.js("charts.filter((c) => c.node.checkVisibility() && !c.node.querySelector('svg')).length") == 0
    on_screen = browser.js("charts.filter((c) => c.node.checkVisibility()).length")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = browser.js("charts.filter((c) => c.node.querySelector('svg')?.checkVisibility()).length")
        assert shown == on_screen >= 8
        assert browser.js("byId('goto').checkVisibility()") is False
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_labels_of_one_place_find_places_of_their_own_or_none(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    script = """
      const [chart] = charts.filter((c) => c.node.id === 'tradeoff-chart');
      const { x, y } = chart.node.figure.labels[0];
      for (const label of chart.image.querySelectorAll('.label')) label.remove();
      drawLabels(chart, Array.from({ length: 20 }, (_, i) => ({ x, y, text: 'network number ' + i })), []);
      return chart.image.querySelectorAll('.label').length;
    """
    assert 2 <= browser.js(script) < 20
    assert overlaps(browser) == []


def test_early_failures_do_not_flatten_the_winners(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    assert browser.js("robust([0.1, 0.1, 0.1, 0.97, 0.98, 0.985, 0.99])") == [0.97, 0.99]
    assert browser.js("robust([0, 0.25, 0.5, 0.75, 1])") == [0, 1]
    assert browser.js("[robust([]), robust([0.4])]") == [[0, 1], [0.4, 0.4]]


def test_everything_is_reached_by_keyboard(browser: Browser, pages: dict[str, Shown]) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(pages["plain"].page)
    reached = []
    for _ in range(150):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.append(browser.js("document.activeElement.id || document.activeElement.closest('th')?.dataset.column"))
    controls = {"theme", "tradeoff-chart", "progress-chart", "previous", "next", "to-best", "keep", "filter", "status"}
    assert controls | {"save-csv", "reward", "macs", "number"} <= set(reached)
    browser.js("return select(trial(0, 5))")
    browser.js("return byId('tradeoff-chart').focus()")
    ActionChains(browser.driver).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT).perform()
    assert browser.text("#network-facts b") == "Trial 6"
    assert browser.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.js("return document.querySelector('#table tbody tr:nth-child(3) button').focus()")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert browser.text("#network-facts b").startswith(f"Trial {cells(browser, 'number')[2]}")


@pytest.mark.parametrize("kind", ["plain", "final", "compared", "hostile", "failed", "empty"])
def test_the_page_fits_every_screen(browser: Browser, pages: dict[str, Shown], kind: str) -> None:
    browser.open(pages[kind].page)
    outside = "return [...document.querySelectorAll('svg')].filter((n) => n.checkVisibility() &&"
    sideways = "return [...document.querySelectorAll('.scroll, nav')].filter((n) => n.scrollWidth > n.clientWidth)"
    for width in WIDTHS:
        browser.resize(width)
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.js(outside + " n.getBoundingClientRect().right > innerWidth)") == []
        assert browser.cut_off() == []
        if width >= 1280 and kind != "hostile":
            assert browser.js(sideways + ".map((n) => n.outerHTML.slice(0, 80))") == []
        if width < 400:
            small = "[...document.querySelectorAll('main button, main select')].filter((b) => b.checkVisibility() &&"
            assert browser.js(small + " b.offsetHeight < 24).map((b) => b.outerHTML)") == []  # WCAG 2.5.8
    browser.resize(390)
    browser.js("return selection.item && select(selection.item)")
    browser.wait("byId('trials') === null || byId('jump').offsetHeight > 0")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["plain", "final", "compared", "failed"])
def test_axe_finds_nothing(browser: Browser, pages: dict[str, Shown], kind: str, size: str, theme: str) -> None:
    axe = pytest.importorskip("axe_core_python").__path__[0]
    browser.open(pages[kind].page, size, theme)
    assert browser.js("document.documentElement.dataset.theme") == theme
    browser.js("for (const part of document.querySelectorAll('details')) part.open = true")
    browser.driver.execute_script(Path(axe, "axe.min.js").read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    script = "axe.run({runOnly: arguments[0]}).then(arguments[1], (e) => arguments[1]({error: String(e)}))"
    browser.driver.set_script_timeout(60)
    result = browser.driver.execute_async_script(script, tags)
    assert "error" not in result, result
    # A rule that stumbles is counted as incomplete: contrast was really looked at, with a verdict on most texts.
    judged = {rule["id"]: len(rule["nodes"]) for rule in result["passes"]}
    assert judged["color-contrast"] > 40
    assert len(judged) > 15
    found = [(v["id"], [node["html"][:200] for node in v["nodes"]][:4]) for v in result["violations"]]
    assert found == []


def test_the_theme_follows_the_system_until_it_is_chosen(browser: Browser, pages: dict[str, Shown]) -> None:
    page = pages["plain"].page
    for theme, other in (("light", "dark"), ("dark", "light")):
        browser.open(page, theme=theme)
        browser.js("return localStorage.clear()")
        browser.open(page, theme=theme)
        background = browser.js("getComputedStyle(document.body).backgroundColor")
        browser.find("#theme").click()
        assert browser.js("document.documentElement.dataset.theme") == other
        assert browser.js("getComputedStyle(document.body).backgroundColor") != background
        browser.open(page, theme=theme)
        assert browser.js("document.documentElement.dataset.theme") == other
    browser.js("return localStorage.clear()")


# Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009: severity 1, linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour: str, blindness: str) -> np.ndarray:
    """CIELAB (D65) of a hex colour as it is seen."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(BLINDNESS[blindness]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 216 / 24389))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_survive_colour_blindness(theme: str, blindness: str) -> None:
    light, dark = CSS.read_text().split('[data-theme="dark"]')
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", light if theme == "light" else dark.split("}")[0]))
    apart = [
        *itertools.combinations([f"series-{i}" for i in (1, 2, 3, 4)], 2),
        ("late", "front"),
        ("late", "failed"),
        ("late", "page"),
        ("heat-0", "heat-1"),
        ("heat-1", "heat-2"),
    ]
    for first, second in apart:
        distance = float(np.linalg.norm(lab(colours[first], blindness) - lab(colours[second], blindness)))
        assert distance > 15, (first, second, distance)


def test_eight_thousand_trials_are_interactive(browser: Browser, long_run: Path) -> None:
    assert report_command.main([str(long_run)]) == 0
    browser.open(long_run / "report.html", size="wide")
    browser.js("return select(trial(0, 4321))")
    points = browser.js("byId('tradeoff-chart').querySelectorAll('path.point').length")
    assert points >= 8_000
    assert browser.text("#network-facts b") == "Trial 4321"
    assert browser.js("byId('progress-chart').querySelectorAll('path.point').length") == 8_000
    assert (long_run / "report.html").stat().st_size < 8_000_000
    browser.find("#table th[data-column=macs] button").click()
    browser.find("#filter").send_keys("convk5 ok")
    assert "of 8,000 trials" in browser.text("#count")


def test_a_served_page_follows_the_run(browser: Browser, tmp_path: Path) -> None:
    make_run(tmp_path, trials=16, stop_after=8)
    journal = tmp_path / "journal.jsonl"
    server = ReportServer(
        0,
        lambda stamp: report.render([load(tmp_path)], live_stamp=stamp).encode(),
        lambda stamp: report.news([load(tmp_path)], stamp).encode(),
        lambda: str(journal.stat().st_size),
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        browser.js("return select(trial(0, 3))")
        assert browser.js("data.runs[0].trials.status.filter((s) => s === 'ok').length") == 8
        make_run(tmp_path, trials=16)
        browser.wait("data.runs[0].trials.status.filter((s) => s === 'ok').length === 16")
        assert browser.text("#network-facts b") == "Trial 3"
        assert browser.text(".state") == "finished, 16 trials"
        assert browser.text("#count") == "16 of 16 trials"
        assert browser.js("byId('progress-chart').querySelectorAll('path.point').length") == 16
        assert browser.logs("browser") == []
        origin = f"http://127.0.0.1:{server.server_port}/"
        assert {u for u in browser.requests() if u.startswith("http")} <= {
            origin,
            origin + "stamp",
            origin + "news",
        }
    finally:
        browser.driver.get("about:blank")
        server.shutdown()
        thread.join()
        server.server_close()
