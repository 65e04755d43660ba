"""A run, or several side by side, as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from nas.report.data import comparison, lede, run_data, run_texts
from nas.report.networks import NetworkTable
from nas.runs.record import RunRecord, load
from search_space.errors import InputError
from search_space.io.files import write_atomic

SCRIPTS = ("core.js", "network.js", "charts.js", "family.js", "table.js", "main.js")


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
    environment = Environment(loader=PackageLoader("nas", "report/assets"), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        title=" · ".join(record.name for record in records),
        lede=lede(records),
        runs=[run_texts(record) for record in records],
        comparison=comparison(records),
        family=any(record.grid for record in records),
        has_trials=any(record.trials for record in records),
        has_best=any(record.best_trial for record in records)
        and all(run["best"] is None or _drawable(run) for run in runs),
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
    return resources.files("nas").joinpath("report", "assets", name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The charts' library, as the plotly package carries it; the package itself need not be loaded for it."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the report needs plotly: pip install plotly")
    text = Path(spec.submodule_search_locations[0], "package_data", "plotly.min.js").read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")
