"""``nas-trust``: what a search's answer is worth, measured on the search's own networks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from nas import config
from nas.commands import cli, options
from nas.engines.make import make_engine
from nas.report import page
from nas.runs import record as run_record
from nas.runs.header import check_trusted
from nas.trust import measure
from search_space.errors import InputError
from search_space.io.amounts import parse_share

DESCRIPTION = """\
Say what a finished search's answer is worth, by training some of its networks again and longer.

  nas-trust runs/mine                  spend 20 % of what the search's trainings cost
  nas-trust runs/mine --budget 300%    enough for every part of the report

Goes on where an earlier report stopped. Exit codes: 0 done, 1 nothing to report, 2 wrong input, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``nas-trust``."""
    return cli.run(_parser(), _trust, argv)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser("nas-trust", DESCRIPTION)
    parser.add_argument("run", type=Path, metavar="RUN", help="the search's directory")
    parser.add_argument(
        "--budget", default=measure.DEFAULT_BUDGET, metavar="SHARE", help="of the search's training time"
    )
    options.add_engine(parser)
    parser.add_argument(
        "--trust-code", action="store_true", help="import code and write to folders that the run's journal names"
    )
    return parser


def _trust(args: argparse.Namespace) -> int:
    budget = parse_share(args.budget, "--budget")
    record = run_record.load(args.run)
    if record.damaged:
        raise InputError(record.notices[0])
    check_trusted(args.run, record.config, [], trusted=args.trust_code)
    if args.trust_code:
        run_record.find_code(record)
    if not record.config or record.objective is None or record.space is None or "baseline" in record.config:
        raise InputError(f"{args.run}: not a search whose networks can be built: {' '.join(record.notices) or 'empty'}")
    settings = config.resolve([record.config])
    config.use_one_thread()
    evaluator = config.make("evaluator", settings.evaluator)
    with closing(make_engine(options.engine_options(args), *evaluator)) as engine:
        measure.report(record, settings, engine, budget, cli.say)
    if record.state == "finished" and not record.running:
        page.write_ended(args.run)
    return cli.DONE


if __name__ == "__main__":
    raise SystemExit(main())
