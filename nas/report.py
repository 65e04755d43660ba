"""``nas-report``: a run, or several side by side, as one HTML page that needs nothing else."""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import json
import webbrowser
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from nas import cli
from nas.files import write_atomic
from nas.report_data import comparison, lede, run_data, run_texts
from nas.report_networks import NetworkTable
from nas.report_server import ReportServer, serve
from nas.run_dir import JOURNAL
from nas.run_record import RunRecord, is_locked, load
from search_space.errors import InputError

DESCRIPTION = """\
Show a run as one HTML page: open it from disk, mail it, no network needed.

  nas-report runs/mine --open                   written to runs/mine/report.html
  nas-report runs/mine runs/random              two searches side by side, written to comparison.html
  nas-report runs/mine --serve                  live, while the search runs

Exit codes: 0 done, 2 wrong input.
"""
SCRIPTS = ("core.js", "network.js", "charts.js", "family.js", "table.js", "main.js")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-report``."""
    return cli.run(lambda: _report(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-report", DESCRIPTION)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="directory of a run")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write the page")
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    serving = "show it on 127.0.0.1 and follow the run"
    parser.add_argument("--serve", nargs="?", type=int, const=0, metavar="PORT", help=serving)
    return parser


def _report(args: argparse.Namespace) -> int:
    output = args.output or (args.runs[0] / "report.html" if len(args.runs) == 1 else Path("comparison.html"))
    if args.serve is not None:
        return _serve(args.runs, output, args.serve, show=args.open)
    write_atomic(output, render([load(path) for path in args.runs]))
    cli.say(f"Report: {output}")
    if args.open:
        webbrowser.open(output.resolve().as_uri())
    return cli.DONE


def write_ended(path: Path) -> None:
    """Write ``report.html`` into the directory of a run that has ended, though this process still holds its journal."""
    record = load(path)
    record.running = False
    write_atomic(path / "report.html", render([record]))


def render(records: Sequence[RunRecord], live_stamp: str | None = None) -> str:
    """The page of one or several runs.

    Args:
        records: The runs.
        live_stamp: What the page compares with its server's stamp; None for a page that stands alone.
    """
    networks = NetworkTable()
    runs = [run_data(record, networks) for record in records]
    data = {"runs": runs, "networks": networks.data, "live": live_stamp is not None, "stamp": live_stamp}
    scripts = {"plotly": _plotly(), "script": "\n".join(_page_file(name) for name in SCRIPTS)}
    environment = Environment(loader=PackageLoader("nas", "report_page"), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        title=" · ".join(record.name for record in records),
        lede=lede(records),
        runs=[run_texts(record) for record in records],
        comparison=comparison(records),
        family=any(record.grid for record in records),
        has_trials=any(record.trials for record in records),
        has_best=any(record.best for record in records) and all(run["best"] is None or _drawable(run) for run in runs),
        policy=_policy(scripts.values(), live=live_stamp is not None),
        style=Markup(_page_file("page.css")),
        data=_embedded(data),
        written=datetime.now().strftime("%Y-%m-%d %H:%M"),
        version=metadata.version("nas-b0"),
        **{name: Markup(script) for name, script in scripts.items()},
    )


def _drawable(run: dict[str, Any]) -> bool:
    return run["trials"]["network"][run["best"]] is not None


def _embedded(data: dict[str, Any]) -> Markup:
    """JSON that stands in a script element: no ``<``, so nothing in it can end the element or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _policy(scripts: Any, *, live: bool) -> str:
    """The page's content security policy: its own two scripts by digest, and no network beyond its own server."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    sources = " ".join(f"'sha256-{digest}'" for digest in digests)
    network = "'self'" if live else "'none'"
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        f"connect-src {network}; script-src {sources}"
    )


def _page_file(name: str) -> str:
    return resources.files("nas").joinpath("report_page", name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The charts' library, as the plotly package carries it; the package itself need not be loaded for it."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the report needs plotly: pip install plotly")
    text = Path(spec.submodule_search_locations[0], "package_data", "plotly.min.js").read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")


def _serve(paths: Sequence[Path], output: Path, port: int, *, show: bool) -> int:
    """Follow the runs: whenever a journal has grown, the file is written again and the browser loads it again."""

    def page(stamp: str) -> bytes:
        records = [load(path) for path in paths]
        write_atomic(output, render(records))
        return render(records, stamp).encode()

    def stamp() -> str:
        journals = [path / JOURNAL for path in paths if (path / JOURNAL).exists()]
        return " ".join(f"{file.stat().st_size}-{file.stat().st_mtime_ns}-{is_locked(file):d}" for file in journals)

    page(stamp())
    server = ReportServer(port, page, stamp)
    if show:
        webbrowser.open(f"http://127.0.0.1:{server.server_port}/")
    return serve(server)
