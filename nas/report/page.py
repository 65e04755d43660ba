"""A run, or several side by side, as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.report.answer import answer, parts
from nas.report.data import run_data
from nas.report.facts import comparison
from nas.report.networks import NetworkTable
from nas.report.scaling import part_of
from nas.runs.record import RunRecord, load
from search_space.io.files import write_atomic

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

CHARTS = ("core.js", "plot.js", "marks.js")
RUN = ("network.js", "charts.js", "curves.js", "family.js", "decisions.js", "choices.js", "table.js", "main.js")


def write_ended(path: Path) -> None:
    """Write ``report.html`` into the directory of a run that has ended, though this process still holds its journal."""
    record = load(path)
    record.running = False
    write_atomic(path / "report.html", render([record], path))


def render(records: Sequence[RunRecord], folder: Path | None = None, live_stamp: str | None = None) -> str:
    """The page of one or several runs.

    Args:
        records: The runs.
        folder: Where the page will lie; None for a page without links to the runs' files.
        live_stamp: What the page compares with its server's stamp; None for a page that stands alone.
    """
    data = _data(records, live_stamp)
    title = " · ".join(record.name for record in records)
    return html("run.html", (*CHARTS, *RUN), title, data, live=live_stamp is not None, **_texts(records, folder))


def news(records: Sequence[RunRecord], live_stamp: str) -> str:
    """What a served page asks for when the stamp has changed, as JSON: its data and its first screen."""
    first = _environment().get_template("answer.html").render(**_texts(records, None))
    return json.dumps({"data": _data(records, live_stamp), "answer": first}, allow_nan=False, separators=(",", ":"))


def _data(records: Sequence[RunRecord], live_stamp: str | None) -> dict[str, Any]:
    """What the page's scripts show."""
    networks = NetworkTable()
    runs = [run_data(record, networks) for record in records]
    sections = " ".join(name for name, there in _sections(records).items() if there)
    live = {"live": live_stamp is not None, "stamp": live_stamp, "sections": sections}
    return {"runs": runs, "networks": networks.data, **live}


def _texts(records: Sequence[RunRecord], folder: Path | None) -> dict[str, Any]:
    """What the page's templates show."""
    return {
        "runs": [answer(record, folder) for record in records],
        "comparison": comparison(records) if len(records) > 1 else None,
        "frames": list({part.FRAME["title"]: part.FRAME for part in map(part_of, records) if part}.values()),
        **_sections(records),
    }


def _sections(records: Sequence[RunRecord]) -> dict[str, bool]:
    """Which parts of the page apply."""
    return {
        "family": any(part_of(record) and record.trials for record in records),
        "has_search": any(record.trials and not part_of(record) for record in records),
        "has_trials": any(record.trials for record in records),
        "has_decisions": any(record.space and record.space.decisions and not part_of(record) for record in records),
    }


def html(template: str, scripts: Sequence[str], title: str, data: Any, *, live: bool = False, **texts: Any) -> str:
    """A page by its template, with its style, scripts and data in it.

    Args:
        template: Its file among the templates, which extends page.html.
        scripts: Files among the scripts, in order.
        title: The browser's.
        data: What the scripts show, as plain JSON values.
        live: Whether it asks its own server for news.
        texts: What the template shows.
    """
    from markupsafe import Markup

    script = "\n".join(_asset(f"scripts/{name}") for name in scripts)
    page = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            policy=_policy(script, live=live),
            style=Markup(_asset("page.css")),
            data=_embedded(data),
            script=Markup(script),
            written=datetime.now().strftime("%Y-%m-%d %H:%M"),
            version=metadata.version("nas-b0"),
            **texts,
        )
    )
    return page.encode(errors="backslashreplace").decode()  # names of files may be no UTF-8


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader  # help screens do without

    environment = Environment(loader=PackageLoader("nas", "report/assets/templates"), autoescape=True, trim_blocks=True)
    environment.filters["parts"] = parts
    return environment


def _embedded(data: Mapping[str, Any]) -> Markup:
    """JSON that stands in a script element: no ``<``, so nothing in it can end the element or begin a comment."""
    from markupsafe import Markup

    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _policy(script: str, *, live: bool) -> str:
    """The page's content security policy: its own script by digest, and no network beyond its own server."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    network = "'self'" if live else "'none'"
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        f"connect-src {network}; script-src 'sha256-{digest}'"
    )


def _asset(name: str) -> str:
    return resources.files("nas").joinpath("report", "assets", *name.split("/")).read_text(encoding="utf-8")
