"""The first screen of a run's page: what was asked, what was found, how sure that is, what next."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nas.config import TOLD, SearchConfig
from nas.report import facts
from nas.report import final as report_final
from nas.report.references import names, reference
from nas.report.scaling import part_of
from nas.runs.directory import TRUST, read_verdict
from nas.runs.header import is_fit, training_flags, trust_flag
from nas.runs.record import RunRecord
from nas.runs.references import ahead
from search_space.io.amounts import format_amount

FILES = ("best.yaml", "coefficients.yaml", "trials.csv", "config.yaml")
"""What a reader of the page may want to open, where it is there."""
MOST_TEXT = 10_000
"""Characters of a trust report that are read."""
MORE = re.compile(r" \(to measure more: nas-trust .*\)(?=\.?$)")
"""The command at a verdict's end."""
UNKNOWN = "–"  # noqa: RUF001 - a dash, as in the page's tables


def answer(run: RunRecord, folder: Path | None) -> dict[str, Any]:
    """What the page's templates show of a run.

    Args:
        run: The run.
        folder: Where the page will lie, which links to the run's files start from; None for no links.
    """
    return {
        "name": run.name,
        "state": run.state,
        "state_text": facts.state_text(run),
        "notices": [*run.notices, *_failure_notice(run)],
        "title": _title(run),
        "asked_text": _asked(run),
        "found": _found(run),
        "sure": _sure(run),
        "commands": commands(run),
        "files": _files(run, folder),
        "facts": facts.done(run),
        "asked": facts.asked(run),
        "versions": facts.versions(run),
        "family": part.family_table(run) if (part := part_of(run)) else None,
    }


def _failure_notice(run: RunRecord) -> list[str]:
    if run.best_trial is not None or not run.finished:
        return []
    first = run.finished[0].evaluation
    assert first is not None
    return [f"No network could be evaluated: all {len(run.finished)} failed, the first {first.status}: {first.reason}"]


def _title(run: RunRecord) -> str:
    """The answer in one line."""
    best = run.best_trial
    if best is None or best.evaluation is None or best.evaluation.accuracy is None:
        return "No network could be evaluated" if run.finished else "Nothing was found yet"
    if part := part_of(run):
        return part.title(run)
    if run.final:
        return report_final.title(run.final)
    so_far = "" if run.state == "finished" else "so far "
    what = f"{best.evaluation.accuracy:.2%} with {format_amount(best.macs)} multiply-adds"
    return f"{what}, {so_far}the best of {len(run.finished)} networks"


def _asked(run: RunRecord) -> str:
    """What was asked for, in a sentence."""
    settings = run.settings
    if settings is None:
        return "The journal holds no header yet, so there is nothing to show."
    data, epochs = (settings.evaluator.settings.get(name) for name in ("data", "epochs"))
    judged = f"judged by {settings.evaluator.name}" + (f" on {data}" if data else "")
    judged += f", {epochs} epoch{'s' * (epochs != 1)} each" if epochs else ""
    if part := part_of(run):
        return f"Asked for the best way to scale {part.asked(run)[0][1]}, {judged}. {part.lead(run)}"
    assert isinstance(settings, SearchConfig)
    target = format_amount(settings.target_flops)
    return f"Asked for the best network of about {target} multiply-adds in the space {settings.space}, {judged}."


def _found(run: RunRecord) -> dict[str, Any] | None:
    """The best network and the known ones, a row each; None where there is no best one."""
    best = run.best_trial
    if best is None or best.evaluation is None:
        return None
    if (part := part_of(run)) and (finalists := part.finalists(run))["rows"]:
        return {**finalists, "share": "Mean and standard error over seeds."}
    if run.final:
        return {**report_final.table(run.final), "share": report_final.note(run, run.final)}
    who = f"trial {best.number}, the best"
    rows = [_row(who, best.evaluation.accuracy, best.macs, best.params, best.reward)]
    for name in names(run):
        known = reference(run, name)
        row = _row(known["name"], known["accuracy"], known["macs"], known["params"], known["reward"])
        rows.append(row if known["accuracy"] is not None else [row[0], known["status"], *row[2:]])
    columns = ["Network", "Accuracy", "MACs", "Params", "Reward"]
    return {"columns": columns, "rows": rows, "share": _share(run)}


def _share(run: RunRecord) -> str:
    """How much of the budget the best network uses, and which known networks have a higher reward."""
    best = run.best_trial
    if not isinstance(run.settings, SearchConfig) or best is None or best.reward is None:
        return ""
    target = run.settings.target_flops
    share = f"It costs {best.macs / target:.0%} of the target of {format_amount(target)} multiply-adds."
    known = [reference(run, name) for name in names(run)]
    return f"{share} {ahead(best.reward, {one['name']: one['reward'] for one in known})}".rstrip()


def _row(name: str, accuracy: float | None, macs: int, params: int, reward: float | None) -> list[str]:
    good = [UNKNOWN if accuracy is None else f"{accuracy:.2%}", format_amount(macs), format_amount(params)]
    return [name, *good, UNKNOWN if reward is None else f"{reward:.4f}"]


def _sure(run: RunRecord) -> list[str]:
    """How sure the answer is: the final's sentence, or the trust report's and its intervals, or that none was made."""
    if part := part_of(run):
        return part.verdict_lines(run)
    if run.final:
        return [run.final.verdict]
    verdict = read_verdict(run.path, len(run.trials))
    if not verdict and run.finished and not _trains(run):
        return ["Not measured: these accuracies were looked up or computed, so no longer training can check them."]
    if not verdict:
        return ["Not measured: nothing says yet whether the order of these networks is more than chance."]
    with open(run.path / TRUST, encoding="utf-8", errors="replace") as file:
        lines = file.read(MOST_TEXT).splitlines()
    said = MORE.sub("", verdict)  # the command stands below, to be copied
    return [said, *(line for line in lines[1:-1] if line.startswith(("Winner minus", "Rank correlation")))]


def commands(run: RunRecord) -> list[tuple[str, str]]:
    """What to do next and the command for it."""
    path = shlex.quote(str(run.path))
    if run.state == "stopped" and run.config.get("evaluator", {}).get("name") != TOLD:  # such go on in a user's loop
        name = "nas-grid" if part_of(run) else "nas-fit" if is_fit(run.config) else "nas-search"
        return [("Go on", f"{name} --run-dir {path} --resume{trust_flag(run.config)}"), *_uses(run, path)]
    return _uses(run, path)


def parts(command: str) -> list[str]:
    """A command's words, each flag with its value: a line of the page is broken between them."""
    return re.findall(r"--?[a-z][a-z-]* [^\s-]\S*|\S+", command)


def _uses(run: RunRecord, path: str) -> list[tuple[str, str]]:
    if part := part_of(run):
        return part.commands(run)
    if run.best_trial is None:
        return []
    if run.final:
        return report_final.commands(run, run.final)
    verdict = read_verdict(run.path, len(run.trials))
    budget = re.search(r" --budget \d+%", verdict)
    command = f"nas-trust {path}{trust_flag(run.config)}{budget[0] if budget else ''}"
    measure = ("Be surer" if verdict else "Measure how sure it is", command)
    return [
        ("Train it in full", f"nas-train --run {path}{training_flags(run.config)}"),
        ("Export it to PyTorch", f"nas-export --run {path} --to torch"),
        ("Scale it up", f"nas-scale {shlex.quote(str(run.path / 'best.yaml'))} --phi 3 -o larger.yaml"),
        *([measure] if _trains(run) else []),
    ]


def _trains(run: RunRecord) -> bool:
    """Whether its evaluations are trainings: only these have losses."""
    return any(t.evaluation and t.evaluation.losses for t in run.finished)


def _files(run: RunRecord, folder: Path | None) -> list[tuple[str, str]]:
    """Names of the run's files that are there, and links to them; without links where the page has no place."""
    weights = report_final.weights(run, run.final) if run.final else None
    there = [run.path / name for name in FILES if (run.path / name).is_file()] + ([weights] if weights else [])
    if folder is None:
        return [(str(file), "") for file in there]
    return [(file.name, quote(os.path.relpath(file, folder))) for file in there]
