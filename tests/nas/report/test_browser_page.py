"""The report in a real browser: what its charts, table and drawing show, against the journal."""

from __future__ import annotations

from typing import Any

import pytest

from nas.history import Trial
from nas.report import charts as report_charts
from nas.runs.record import RunRecord
from search_space.architecture import Architecture, read_document
from tests.browser import Browser
from tests.nas.report.conftest import HOSTILE, Shown

pytestmark = pytest.mark.slow
KINDS = ("plain", "failed", "one", "running", "damaged", "empty", "hostile", "compared")


def traces(browser: Browser, chart: str, name: str) -> list[dict[str, Any]]:
    script = "byId(arguments[0]).figure.layers.filter((t) => t.name === arguments[1]).map(({x, y}) => ({x, y}))"
    found: list[dict[str, Any]] = browser.js(script, chart, name)
    return found


def drawn_points(browser: Browser, chart: str) -> int:
    number: int = browser.js("byId(arguments[0]).querySelectorAll('path.point').length", chart)
    return number


def ok_and_failed(run: RunRecord) -> tuple[list[Trial], list[Trial]]:
    return [t for t in run.finished if t.ok], [t for t in run.finished if not t.ok]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["phone", "wide"])
def test_no_error_and_no_request(browser: Browser, pages: dict[str, Shown], kind: str, size: str) -> None:
    browser.requests()
    browser.open(pages[kind].page, size, "dark" if size == "phone" else "light")
    assert browser.logs("browser") == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_accuracy_chart_has_every_trial(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    good, bad = ok_and_failed(run)
    assert bad
    (shown,) = traces(browser, "tradeoff-chart", "trials")
    assert shown["x"] == [t.macs for t in good]
    assert shown["y"] == pytest.approx([t.evaluation.accuracy for t in good if t.evaluation], rel=1e-5)
    assert traces(browser, "tradeoff-chart", "failed")[0]["x"] == [t.macs for t in bad]
    front = report_charts.pareto_front(run.trials)
    assert traces(browser, "tradeoff-chart", "front")[0]["x"] == [run.trials[i].macs for i in front]
    assert traces(browser, "tradeoff-chart", "reference")[0]["x"] == [385_814_752]
    assert drawn_points(browser, "tradeoff-chart") == len(good) + len(bad) + len(front) + 1
    assert len(traces(browser, "tradeoff-chart", "equal reward")) == 4
    assert browser.js("byId('tradeoff-chart').figure.rules[0].x") == 400_000_000


def test_reward_chart_has_every_trial(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    good, bad = ok_and_failed(run)
    (shown,) = traces(browser, "progress-chart", "trials")
    assert shown["x"] == [t.number for t in good]
    assert shown["y"] == pytest.approx([t.reward for t in good], rel=1e-5)
    assert traces(browser, "progress-chart", "failed")[0]["x"] == [t.number for t in bad]
    (best,) = traces(browser, "progress-chart", "best")
    assert run.best_trial is not None
    assert best["y"][-1] == pytest.approx(run.best_trial.reward, rel=1e-5)
    assert drawn_points(browser, "progress-chart") == len(good) + len(bad)
    assert browser.text("#failures").startswith(f"{len(bad)} \u00d7 failed: RuntimeError: this network always fails")


def test_sharing_chart_has_every_trained_network_where_weights_were_shared(
    browser: Browser, pages: dict[str, Shown]
) -> None:
    browser.open(pages["shared"].page)
    (run,) = pages["shared"].runs
    good, bad = ok_and_failed(run)
    assert bad
    (shown,) = traces(browser, "sharing-chart", "trials")
    assert shown["x"] == [t.shared_loss for t in good]
    assert shown["y"] == pytest.approx([t.evaluation.accuracy for t in good if t.evaluation], rel=1e-5)
    assert drawn_points(browser, "sharing-chart") == len(good)
    assert "the shared loss" in browser.text("#sharing-note")
    assert "Shared weights" in browser.text("#contents")
    browser.open(pages["plain"].page)
    assert browser.js("byId('sharing').hidden")


def test_what_the_controller_said_is_the_journals(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    browser.js("return byId('policy').open = true")
    browser.wait("document.querySelector('[data-block]')")
    (run,) = pages["plain"].runs
    for name in ("entropy", "baseline", "repeats", "gradient_norm", "advantage_mean", "advantage_std"):
        line = browser.js("document.querySelector(`[data-signal=${arguments[0]}]`).figure.layers[0].y", name)
        assert line == pytest.approx([signal[name] for signal in run.signals], rel=1e-5)
    script = "[...document.querySelectorAll('[data-block]')].map((n) => [n.dataset.block, n.figure.layers[0].rows])"
    blocks = browser.js(script)
    assert run.space is not None
    names = [decision.name.split(".") for decision in run.space.decisions]
    assert [block for block, _ in blocks] == list(dict.fromkeys(n[0] if len(n) > 1 else "network" for n in names))
    last = [row["values"][-1] for _, rows in blocks for row in rows if row["values"][-1] is not None]
    told = [value for choice in run.signals[-1]["probabilities"] for value in choice]
    assert last == pytest.approx(told, abs=5.1e-4)
    assert "of 43 decisions" in browser.text("#choices-note")


def test_shares_of_choices_are_those_of_the_proposals(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    assert run.space is not None
    rows = browser.js("document.querySelector('[data-kind=kernel]').figure.layers[0].rows")
    places = [i for i, decision in enumerate(run.space.decisions) if decision.name.endswith(".kernel")]
    for batch, numbers in enumerate(run.history.batches):
        tokens = [run.trials[n].tokens for n in numbers]
        taken = [
            run.space.decisions[i].choices[t[i]] for t in tokens for i in places if run.space.decisions[i].applies(t)
        ]
        for row in rows:
            assert row["values"][batch] == pytest.approx(taken.count(row["choice"]) / len(taken))


def test_effects_have_a_point_for_every_choice_that_was_tried(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    assert run.space is not None
    tables = report_charts.effects(run.space.decisions, run.trials)
    for number in (8, len(tables)):
        counted = "[...document.querySelectorAll('[data-effect]')].map((n) => n.figure.layers[0].x.length)"
        points = browser.js(counted)
        assert points == [sum(n > 0 for table in tables[:number] for n in table["count"])] * 2
        bars = browser.js("document.querySelectorAll('[data-effect=accuracy] .error').length")
        assert bars == points[0]
        browser.find("#all-decisions").click()


def point_at(browser: Browser, chart: str, number: int) -> Any:
    """The drawn point of a trial."""
    browser.find(f"#{chart}")
    script = "charts.find((c) => c.node.id === arguments[0]).spots.find((s) => s.item.number === arguments[1]).mark"
    return browser.js(script, chart, number)


@pytest.mark.parametrize("chart", ["tradeoff-chart", "progress-chart"])
def test_a_point_shows_its_network_everywhere(browser: Browser, pages: dict[str, Shown], chart: str) -> None:
    from selenium.webdriver import ActionChains

    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    trial = [t for t in run.finished if t.ok and t != run.best_trial][7]
    point = point_at(browser, chart, trial.number)
    ActionChains(browser.driver).move_to_element(point).perform()
    browser.wait("!byId('tooltip').hidden")
    assert f"Trial {trial.number}" in browser.text("#tooltip")
    assert run.space is not None
    stage = run.space.decode(trial.tokens).stages[3]
    assert f"{stage.channels} channels \u00d7 {stage.layers}" in browser.text("#tooltip")
    ActionChains(browser.driver).click().perform()
    assert browser.text("#network-facts b") == f"Trial {trial.number}"
    assert Architecture.from_yaml(browser.text("#yaml")).key == trial.key
    for shown in ("tradeoff-chart", "progress-chart"):
        place = "(c => ({x: c.spots.find((s) => s.item.number === arguments[1]).x, ring: +c.rings.lastChild"
        place += ".getAttribute('cx')}))(charts.find((c) => c.node.id === arguments[0]))"
        found = browser.js(place, shown, trial.number)
        assert found["ring"] == pytest.approx(found["x"])
    thread = "[...document.querySelectorAll('.thread.kept')].map((line) => line.item.number)"
    assert trial.number in browser.js(thread)
    assert browser.js("document.querySelector('#table tr.selected')?.dataset.trial ?? ''") in (str(trial.number), "")
    assert f"#trial={trial.number}" in browser.driver.current_url


def test_every_network_is_drawn_and_written_as_it_is(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    assert run.space is not None
    for trial in run.trials:
        browser.js("return select(trial(0, arguments[0]))", trial.number)
        architecture, metadata = read_document(browser.text("#yaml"), "the page")
        assert architecture == run.space.decode(trial.tokens)
        assert metadata["metrics"]["macs"] == trial.macs
        shares = browser.js("[...byId('drawing').querySelectorAll('text')].map((t) => t.textContent)")
        percentages = [float(text[:-1]) for text in shares if text.endswith("%")]
        assert len(percentages) == len(architecture.stages) + 2
        assert sum(percentages) == pytest.approx(100, abs=0.5)
        description = browser.js("byId('drawing').firstChild.getAttribute('aria-label')")
        for number, stage in enumerate(architecture.stages, 1):
            assert f"stage {number} " in description
            assert f"{stage.channels} channels, {stage.layers} layers" in description


def test_kept_networks_stand_side_by_side(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["plain"].page)
    (run,) = pages["plain"].runs
    assert run.best_trial is not None
    assert run.space is not None
    other = [t for t in run.finished if t.ok and t != run.best_trial][3]
    browser.js("return toggleKept(trial(0, arguments[0]))", other.number)
    networks = [run.space.decode(run.best_trial.tokens), Architecture.load("efficientnet-b0")]
    networks.append(run.space.decode(other.tokens))
    names = browser.js("[...byId('compared').tHead.rows[0].cells].map((c) => c.textContent)")
    assert [name.split()[0] for name in names] == ["Stage", "Trial", "efficientnet-b0", "Trial"]
    cells = browser.js("[...byId('compared').tBodies[0].rows].map((r) => [...r.cells].map((c) => c.textContent))")
    stages = [row[1:] for row in cells if row[0].isdigit()]
    for row, own in zip(stages, zip(*(n.stages for n in networks), strict=True), strict=True):
        for cell, stage in zip(row, own, strict=True):
            assert f"{stage.kernel}\u00d7{stage.kernel} \u00b7 {stage.channels}\u00d7{stage.layers}" in cell
    changed = browser.js(
        "[...byId('compared').querySelectorAll('.changed')].every((c) => c.textContent !== "
        "c.parentElement.cells[1].textContent)"
    )
    assert changed
    browser.js("return byId('compared').querySelector('button').click()")
    assert len(browser.js("[...byId('compared').tHead.rows[0].cells]")) == 3


def test_failures_only(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["failed"].page)
    assert "No network could be evaluated: all 9 failed" in browser.text("main")
    assert len(traces(browser, "progress-chart", "failed")[0]["x"]) == 9
    assert browser.text("#network-facts b") == "Trial 0"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("one", "finished, 1 trial"),
        ("running", "still running, 10 of 24 trials"),
        ("damaged", "line 9: damaged"),
        ("empty", "nothing was recorded yet"),
    ],
)
def test_the_state_is_told(browser: Browser, pages: dict[str, Shown], kind: str, text: str) -> None:
    browser.open(pages[kind].page)
    assert text in browser.text("main")


def test_hostile_text_is_text(browser: Browser, pages: dict[str, Shown]) -> None:
    for kind in ("hostile", "compared"):
        browser.open(pages[kind].page)
        assert HOSTILE in browser.text("#answer")
        assert HOSTILE in browser.text("#failures")
        failed = browser.js("indices(data.runs.length - 1, (s) => s === 'failed')[0]")
        browser.js("return select(trial(data.runs.length - 1, arguments[0]))", failed)
        browser.js("return showTooltip(selection.item, {clientX: 0, clientY: 0})")
        assert HOSTILE in browser.text("#network-facts")
        assert HOSTILE in browser.text("#tooltip")
        assert read_document(browser.text("#yaml"), "the page")[1]["name"] == f"{HOSTILE}-{failed}"
        assert browser.js("document.querySelectorAll('img, main script').length") == 0
        assert browser.logs("browser") == []  # an alert would have stopped the driver


def test_runs_side_by_side(browser: Browser, pages: dict[str, Shown]) -> None:
    browser.open(pages["compared"].page)
    runs = pages["compared"].runs
    for chart in ("tradeoff-chart", "progress-chart"):
        assert [len(t["x"]) for t in traces(browser, chart, "trials")] == [len(ok_and_failed(r)[0]) for r in runs]
    names = browser.js("[...byId('comparison').tHead.rows[0].cells].slice(1).map((c) => c.textContent)")
    assert names == [run.name for run in runs]
    dashes = browser.js("byId('progress-chart').figure.layers.filter((t) => t.name === 'best').map((t) => t.dash)")
    assert dashes == ["", "6 4", "6 4"]  # the other two are random search, the control
    assert "random search, the control" in browser.text("#progress-legend")
    assert browser.text("#count") == f"{sum(len(r.trials) for r in runs)} of {sum(len(r.trials) for r in runs)} trials"
    browser.js("return byId('policy').open = true")
    browser.wait("document.querySelector('[data-signal=repeats]')")
    lines = "document.querySelector('[data-signal=repeats]').figure.layers.filter((l) => l.kind === 'line').length"
    assert browser.js(lines) == 3
    browser.js("return (select(trial(1, 2)), toggleKept(trial(2, 3)))")
    assert browser.driver.current_url.endswith(",2.3")
