from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.report import training
from tests.browser import Browser
from tests.nas.report.test_page import HOSTILE, Page

DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
    "rkJggg=="
)
METRICS: dict[str, Any] = {
    "validation_accuracy": 0.75,
    "validation_top5_accuracy": None,
    "test_accuracy": 0.7,
    "test_top5_accuracy": None,
    "macs": 1_234_567,
    "params": 4321,
    "seconds": 75.0,
    "data": "photos",
    "classes": ["cat", HOSTILE, "dog"],
    "validation_images": 20,
    "majority_share": 0.4,
    "seed": 3,
    "history": [
        {"epoch": n, "loss": 2.0 - n / 10, "validation_loss": 1.9 - n / 10, "validation_accuracy": a}
        for n, a in ((1, 0.5), (2, 0.8), (3, 0.75))
    ],
}
INSIDE: dict[str, Any] = {
    "confusion": [[5, 1, 2], [0, 6, 0], [0, 2, 4]],
    "wrong": [
        {"image": DOT, "truth": 0, "guess": 2, "sure": 0.987},
        {"image": DOT, "truth": 2, "guess": 1, "sure": 0.6},
    ],
    "maps": [{"image": DOT, "map": DOT, "truth": 1, "guess": 1, "sure": 0.9}],
    "side": 7,
}


def page(**changes: Any) -> Page:
    return Page(training.render(Path("mine"), {**METRICS, **changes}, INSIDE))


def test_the_page_says_what_the_metrics_say() -> None:
    shown = page()
    assert "75.00% on held-out images, 70.00% on test images" in shown.text
    assert "80.00% held out, of 3 epochs" in shown.text
    assert "features of 7\u00d77" in shown.text
    assert "98.7%" not in shown.text
    assert "99%" in shown.text
    assert "on test images" not in page(test_accuracy=None).text
    assert shown.data["curves"]["validation_accuracy"] == [0.5, 0.8, 0.75]
    assert shown.data["matrix"]["rows"] == [[0.625, 0.125, 0.25], [0, 1, 0], [0, 0.333333, 0.666667]]
    assert HOSTILE in shown.text
    assert [tag for tag, attributes in shown.tags if tag == "img" and attributes.get("src") != DOT] == []


def test_a_network_that_guesses_is_named() -> None:
    assert "It has learned nothing" in page(validation_accuracy=0.4).text
    assert "It has learned nothing" not in page().text


def test_mistakes_come_by_their_number() -> None:
    rows = training._pairs([[5, 1, 2], [0, 6, 0], [0, 2, 4]], ["a", "b", "c"])
    assert rows == [("a", "c", "2", "8"), ("c", "b", "2", "6"), ("a", "b", "1", "8")]
    assert training._pairs([[1, 0], [0, 1]], ["a", "b"]) == []


def test_of_many_classes_those_with_mistakes_are_shown() -> None:
    number = training.MOST_CLASSES + 5
    confusion = [[10 * (a == b) for b in range(number)] for a in range(number)]
    confusion[number - 1][0] = 3
    chosen = training._most_confused(confusion)
    assert len(chosen) == training.MOST_CLASSES
    assert chosen[-1] == number - 1
    names = [f"class {i}" for i in range(number)]
    text = Page(training.render(Path("mine"), {**METRICS, "classes": names}, {**INSIDE, "confusion": confusion})).text
    assert "5 others are left out" in text


@pytest.mark.slow
@pytest.mark.parametrize(("size", "theme"), [("phone", "dark"), ("wide", "light")])
def test_the_page_in_a_browser(browser: Browser, tmp_path: Path, size: str, theme: str) -> None:
    training.write(tmp_path, METRICS, INSIDE)
    browser.requests()
    browser.open(tmp_path / training.PAGE, size, theme)
    assert browser.logs("browser") == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:", "about:"))] == []
    assert browser.js("byId('accuracy-chart').figure.layers[0].y") == [0.5, 0.8, 0.75]
    assert browser.js("byId('matrix').querySelectorAll('.cell').length") == 9
    assert browser.js("document.querySelectorAll('.samples img').length") == 4
    assert browser.js("[...document.images].every((image) => image.naturalWidth > 0)")
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.js("document.documentElement.dataset.theme") == theme


def test_names_that_are_no_utf8_can_be_written(tmp_path: Path) -> None:
    training.write(tmp_path, {**METRICS, "classes": ["cat", "b\udce9b\udce9", "dog"]}, INSIDE)
    assert "b\\udce9b" in (tmp_path / training.PAGE).read_text(encoding="utf-8")
