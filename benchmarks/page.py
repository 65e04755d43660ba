"""How long a browser works on the report of a long search before it can be used, and on a selection after that.

    python benchmarks/page.py            8,000 trials of a search whose evaluations cost nothing; needs Chromium

Seconds are those of the page's own thread (Chromium's thread ticks), so other work on the machine changes them little.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from nas.report import page
from nas.runs.record import load
from tests.browser import Browser
from tests.runs import make_run

SELECT = """
  const chart = byId('tradeoff-chart');
  select(trial(0, Math.floor(data.runs[0].trials.macs.length / 2)));
  return chart.getBoundingClientRect().width;
"""


def worked(browser: Browser) -> float:
    """Seconds that the page's thread has worked."""
    metrics = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return {metric["name"]: float(metric["value"]) for metric in metrics}["TaskDuration"]


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_run(folder / "run", trials=args.trials, batch=20, controller="tests.toys:AnyProposals")
        begun = time.perf_counter()
        text = page.render([load(folder / "run")])
        built = time.perf_counter() - begun
        file = folder / "report.html"
        file.write_text(text, encoding="utf-8")
        browser = Browser(folder / "profile")
        browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.open(file)
        ready = worked(browser)
        browser.js(SELECT)
        selected = worked(browser) - ready
        browser.driver.quit()
    size = file_size(text)
    print(
        f"{args.trials} trials: {size:.2f} MB, built in {built:.2f} s; ready after {ready:.2f} s of the page's work, "
        f"a selection takes {selected:.2f} s"
    )


def file_size(text: str) -> float:
    """In MB."""
    return len(text.encode()) / 1e6


if __name__ == "__main__":
    main()
