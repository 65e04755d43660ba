"""A real browser for tests of the report page: headless Chromium, driven by selenium."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (360, 390, 768, 1080, 1280, 1600, 1920)
SIZES = {"phone": (390, 844), "wide": (1600, 1000)}


class Browser:
    """One page at a time, with what tests ask of it.

    Attributes:
        driver: Selenium's own object.
    """

    def __init__(self, profile: Path) -> None:
        """Start Chromium, or skip the test where there is none."""
        webdriver = pytest.importorskip("selenium.webdriver")
        chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
        if chromium is None or chromedriver is None:
            pytest.skip("no chromium and chromedriver are installed")
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(chromedriver)
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, page: Path | str, size: str = "wide", theme: str = "light", fragment: str = "") -> None:
        """Show a page, all of it drawn."""
        width, height = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": theme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.logs("browser")
        self.driver.get((page if isinstance(page, str) else page.as_uri()) + fragment)
        self.wait("document.documentElement.dataset.ready")

    def resize(self, width: int, height: int = 900) -> None:
        """Another size of the window, with the charts drawn for it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        drawn = "charts.every((chart) => !chart.node.clientWidth || chart.node.clientWidth === chart.width)"
        self.wait(f"innerWidth === {width} && {drawn}")

    def js(self, script: str, *arguments: Any) -> Any:
        """The value of an expression, or of statements that return one."""
        body = script if "return " in script or script.startswith("for ") else f"return {script}"
        return self.driver.execute_script(body, *arguments)

    def wait(self, expression: str, seconds: float = 20) -> Any:
        """The first true value of an expression."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: self.js(expression))

    def find(self, selector: str) -> Any:
        """The element of a CSS selector, in sight."""
        element = self.driver.find_element("css selector", selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        return element

    def text(self, selector: str) -> str:
        """The text content of an element."""
        content: str = self.js("document.querySelector(arguments[0]).textContent", selector)
        return content

    def logs(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)
        return entries

    def requests(self) -> list[str]:
        """Addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.logs("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def cut_off(self) -> list[str]:
        """Texts that reach beyond their chart, and cells of the first screen that reach beyond their table."""
        script = """
          const beyond = (part, whole) => {
            const [p, w] = [part.getBoundingClientRect(), whole.getBoundingClientRect()];
            return p.left < w.left - 1 || p.right > w.right + 1 || p.top < w.top - 1 || p.bottom > w.bottom + 1;
          };
          const texts = [...document.querySelectorAll('svg text')].filter((t) => t.checkVisibility()
            && beyond(t, t.ownerSVGElement));
          const cells = [...document.querySelectorAll('#found td, #found th')].filter((c) => c.checkVisibility()
            && (beyond(c, byId('found').parentElement) || c.scrollWidth > c.clientWidth + 1));
          return [...texts, ...cells].map((node) => node.textContent);
        """
        found: list[str] = self.js(script)
        return found
