"""Make the pictures of README and docs anew, from real runs: some ten minutes on two cores.

python docs/pictures/draw.py            needs tmux, Chromium and chromedriver
python docs/pictures/draw.py RUN        the chart of a study of ways of scaling: see docs/grid.md
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))
from nas.report import page  # noqa: E402 - found by the line above
from nas.runs.record import load  # noqa: E402
from tests.browser import Browser  # noqa: E402
from tests.terminal.capture import capture  # noqa: E402

SEARCH = "nas-search --target-flops 400M --run-dir runs/mine"
PUBLISHED = "nas-search --target-flops 400M --evaluator imagenet --run-dir guided"
RANDOM = "nas-search --target-flops 400M --evaluator imagenet --controller random --run-dir random"
COLUMNS = 100
COLOURS = 128
"""Of a picture: enough for a page, and half of the bytes."""


def open_page(browser: Browser, runs: list[str]) -> None:
    """The report of one or several runs."""
    file = Path("page.html")
    file.write_text(page.render([load(Path(run)) for run in runs], Path()), encoding="utf-8")
    browser.open(file.resolve())
    browser.resize(1280, 900)


def draw_page(browser: Browser, runs: list[str], height: int, picture: Path) -> None:
    """The top of the report of one or several runs in the current folder, 1,280 pixels wide."""
    open_page(browser, runs)
    browser.js("return document.documentElement.style.setProperty('--shade', 'none')")  # a shadow takes many colours
    save(browser, 1265, height, picture)


def draw_terminal(browser: Browser, screen: str, picture: Path) -> None:
    """What a terminal showed, escapes included."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen))
    file = Path("terminal.svg")
    file.write_text(console.export_svg(title="nas-search"), encoding="utf-8")
    browser.driver.get(file.resolve().as_uri())
    box = browser.js("return (({width, height}) => ({width, height}))(document.documentElement.viewBox.baseVal)")
    metrics = {"width": 1000, "height": round(1000 * box["height"] / box["width"])}
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**metrics, "deviceScaleFactor": 1, "mobile": False}
    )
    save(browser, metrics["width"], metrics["height"], picture)


def draw_study(browser: Browser, run: str, picture: Path) -> None:
    """The chart of a study, with its title and legend."""
    open_page(browser, [run])
    unselected = "<style>.ring { display: none }</style>"
    browser.js("return document.head.insertAdjacentHTML('beforeend', arguments[0])", unselected)
    box = browser.js(
        "return (({x, y, width, height}) => [x, y, width, height])(byId('family').getBoundingClientRect())"
    )
    save(browser, *map(round, box[2:]), picture, x=round(box[0]), y=round(box[1]))


def save(browser: Browser, width: int, height: int, picture: Path, x: int = 0, y: int = 0) -> None:
    """What the browser shows, in few bytes."""
    clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
    shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(picture, optimize=True)


def main(study: str | None = None) -> None:
    """All pictures that searches make, or that of a study."""
    run = Path(study).resolve() if study else None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        screen = "" if run else capture(SEARCH, COLUMNS, folder, colours=True)
        for command in () if run else (PUBLISHED, RANDOM):
            capture(command, COLUMNS, folder)
        os.chdir(folder)  # so that pages and commands name runs as a user does
        browser = Browser(folder / "profile")
        if run:
            draw_study(browser, str(run), HERE / "scaling.png")
        else:
            draw_page(browser, ["runs/mine"], 1500, HERE / "report.png")
            draw_page(browser, ["guided", "random"], 1500, HERE / "comparison.png")
            draw_terminal(browser, screen, HERE / "terminal.png")
        browser.driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
