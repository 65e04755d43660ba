"""``nas-report``: a run, or several side by side, as one HTML page that needs nothing else."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nas.commands import cli
from nas.journal import is_locked
from nas.report.page import news, render
from nas.report.server import ReportServer
from nas.runs.directory import JOURNAL
from nas.runs.record import RunRecord, load
from search_space.io.files import write_atomic

DESCRIPTION = """\
Show a run as one HTML page: open it from disk, mail it, no network needed.

  nas-report runs/mine --open                   written to runs/mine/report.html
  nas-report runs/mine runs/random              two searches side by side, written to comparison.html
  nas-report runs/mine --serve                  live, while the search runs

Exit codes: 0 done, 2 wrong input.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-report``."""
    return cli.run(_parser(), _report, argv)


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
    write_atomic(output, render([load(path) for path in args.runs], output.parent))
    cli.say(f"Report: {output}")
    if args.open:
        webbrowser.open(output.resolve().as_uri())
    return cli.DONE


def _serve(paths: Sequence[Path], output: Path, port: int, *, show: bool) -> int:
    """Follow the runs: whenever a journal has grown, the file is written again and the browser asks for the news."""

    def load_all() -> list[RunRecord]:
        records = [load(path) for path in paths]
        write_atomic(output, render(records, output.parent))
        return records

    def page(stamp: str) -> bytes:
        return render(load_all(), live_stamp=stamp).encode()

    def changes(stamp: str) -> bytes:
        return news(load_all(), stamp).encode()

    def stamp() -> str:
        journals = [path / JOURNAL for path in paths if (path / JOURNAL).exists()]
        return " ".join(f"{file.stat().st_size}-{file.stat().st_mtime_ns}-{is_locked(file):d}" for file in journals)

    load_all()
    server = ReportServer(port, page, changes, stamp)
    cli.say(f"Report at {server.url} (Ctrl-C ends it)")
    if show:
        webbrowser.open(server.url)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            cli.say()
    return cli.DONE


if __name__ == "__main__":
    raise SystemExit(main())
