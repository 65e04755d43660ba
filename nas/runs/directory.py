"""A run's directory: where everything a search leaves is, and how it is written.

config.yaml  journal.jsonl  best.yaml  top/*.yaml  trials.csv  report.html (nas/report/page.py)
"""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any

from nas import config as configs
from nas.config import RunConfig, SearchConfig
from nas.journal import Journal, read
from nas.study import Study, Trial
from search_space.errors import InputError
from search_space.io.files import write_atomic

JOURNAL = "journal.jsonl"
REFERENCE = "efficientnet-b0"
"""The known network that a search is set beside, and its name in the journal."""
BASELINE = "baseline"
"""What a grid's journal calls the network that is scaled."""
COLUMNS = ("trial", "reward", "accuracy", "macs", "params", "status", "reason", "seconds", "repeat_of", "key")


def default_path() -> Path:
    """``runs/<date>-<time>``, which no run of an earlier second has."""
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


def check_free(path: Path) -> None:
    """Refuse to touch what is there.

    Raises:
        InputError: There is something at `path` already.
    """
    if path.exists():
        raise InputError(f"--run-dir {path}: exists already; add --resume to go on with it, or name another")


def open_journal(path: Path, config: RunConfig) -> Journal:
    """The run's journal, locked for writing; made with the run's header where there is none yet.

    Raises:
        InputError: Another process writes to the run, or its journal is damaged.
    """
    path.mkdir(parents=True, exist_ok=True)
    journal = Journal(path / JOURNAL)
    if next(journal.events(), None) is None:
        write_atomic(path / "config.yaml", configs.to_yaml(config))
        journal.append({"event": "run", "config": configs.to_plain(config), "versions": configs.versions()})
    return journal


def recorded_config(path: Path) -> dict[str, Any] | None:
    """The config in the header of a run's journal; None if the run was killed before it wrote one.

    Raises:
        InputError: There is no run at `path`, or its journal is damaged.
    """
    if not path.is_dir():
        raise InputError(f"--run-dir {path}: no run to resume, there is no such directory")
    journal = path / JOURNAL
    header = next(read(journal), None) if journal.exists() else None
    if header is None:
        if any(path.iterdir()) and not journal.exists():
            raise InputError(f"--run-dir {path}: not a run, it has files but no {JOURNAL}")
        return None
    if header.get("event") != "run":
        raise InputError(f"{journal}, line 1: not the header of a run")
    recorded: dict[str, Any] = header["config"]
    return recorded


def export(path: Path, study: Study, config: SearchConfig) -> None:
    """Write best.yaml, top/*.yaml and trials.csv of what is finished so far."""
    for rank, trial in enumerate(study.ranking()[: config.top], 1):
        text = architecture_yaml(path, study, trial, config)
        write_atomic(path / "top" / f"{rank:02d}.yaml", text)
        if rank == 1:
            write_atomic(path / "best.yaml", text)
    write_atomic(path / "trials.csv", trials_csv(study.trials))


def architecture_yaml(path: Path, study: Study, trial: Trial, config: SearchConfig) -> str:
    """A trial's network with its metrics and where it comes from."""
    evaluation = trial.evaluation
    assert evaluation is not None
    metrics = {"macs": trial.macs, "params": trial.params, "accuracy": evaluation.accuracy, "reward": trial.reward}
    if evaluation.latency_ms is not None:
        metrics["latency_ms"] = evaluation.latency_ms
    provenance = {
        "run": path.name,
        "trial": trial.number,
        "seed": config.seed,
        "space": config.space,
        "key": trial.key,
        "evaluator": config.evaluator.name,
        "data": str(config.evaluator.settings.get("data", "")),
        "versions": configs.versions(),
    }
    return study.architecture(trial).to_yaml(name=f"{path.name}-{trial.number}", metrics=metrics, provenance=provenance)


def trials_csv(trials: list[Trial]) -> str:
    """One row a finished trial."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for trial in trials:
        if (found := trial.evaluation) is not None:
            result = (trial.number, trial.reward, found.accuracy, trial.macs, trial.params, found.status, found.reason)
            rows.writerow((*result, round(found.seconds, 3), trial.repeat_of, trial.key))
    return text.getvalue()
