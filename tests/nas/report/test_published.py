from __future__ import annotations

from pathlib import Path

import pytest

from nas.grid.published import FAMILY, OTHERS
from nas.report import published
from search_space.architecture import Architecture
from tests.browser import Browser
from tests.nas.report.test_page import Page

B0 = Architecture.load("efficientnet-b0")


def test_the_family_has_its_exact_costs_and_the_others_the_published_ones() -> None:
    page = Page(published.render(B0))
    family = {point["name"]: point for point in page.data["family"]}
    assert (family["EfficientNet-B0"]["macs"], family["EfficientNet-B0"]["params"]) == (385_814_752, 5_288_548)
    assert family["EfficientNet-B7"]["macs"] == 37_745_884_192
    assert [(p["name"], p["macs"], p["params"], p["top1"]) for p in page.data["others"]] == [
        (row.name, row.flops, row.params, row.top1) for row in OTHERS
    ]
    assert "385,814,752" in page.text
    assert "ResNet-50 76.0% 4.1B 26M" in page.text
    assert "GPipe 84.3% - 557M" in page.text
    assert "1905.11946v5, table 2" in page.text


@pytest.mark.slow
@pytest.mark.parametrize(("size", "theme"), [("phone", "dark"), ("wide", "light")])
def test_the_page_in_a_browser(browser: Browser, tmp_path: Path, size: str, theme: str) -> None:
    (tmp_path / "published.html").write_text(published.render(B0))
    browser.open(tmp_path / "published.html", size, theme)
    assert browser.logs("browser") == []
    points = "byId(arguments[0]).querySelectorAll('path.point').length"
    assert browser.js(points, "macs-chart") == len(FAMILY) + len(OTHERS) - 1  # one has no published cost
    assert browser.js(points, "params-chart") == len(FAMILY) + len(OTHERS)
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
