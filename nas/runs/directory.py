"""A run's directory: where everything a search leaves is, and how it is written.

config.yaml  journal.jsonl  best.yaml  top/*.yaml  trials.csv  report.html (nas/report/page.py)
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from nas import config as configs
from nas.config import RunConfig, SearchConfig
from nas.engines.base import Engine
from nas.history import Trial
from nas.journal import Journal, read, refuse_link
from nas.runs import table
from nas.runs.base import Run
from nas.study import Study
from search_space.errors import InputError, one_line
from search_space.io.files import make_folder, write_atomic

JOURNAL = "journal.jsonl"
TRUST = "trust.txt"
"""What the run's answer is worth: the trials that this is said of, the figures, and last one sentence."""
FINAL_TRAINED = Path("final") / "trained"
"""Where the weights of a final's winner are kept, in a folder named by its key."""
REFERENCE_NETWORK = "efficientnet-b0"
"""The first of the known networks that a search is set beside, and its name in the journal."""
BASELINE = "baseline"
"""What a grid's journal calls the network that is scaled."""
_IMAGES = ("classes", "train_images", "validation_images")
_LONGEST_REPORT = 10_000  # characters of a trust report that are read


def record_description(study: Study, engine: Engine) -> None:
    """Note what the evaluator says of itself, once a run.

    Raises:
        InputError: There are more or fewer images than when the run began: others are held out, and what was found
            before cannot be compared with what would be found now.
    """
    said, known = engine.describe(), study.history.described
    then, now = ({name: of.get(name) for name in _IMAGES if name in known} for of in (known, said))
    if said and then != now:
        counts = (", ".join(f"{name} {value}" for name, value in of.items()) for of in (then, now))
        raise InputError("the images have changed since the run began ({}; now {}): begin a new one".format(*counts))
    if said and not known and not study.trials:
        study.record({"event": "described", "evaluator": said})


def trust_title(trials: int) -> str:
    """First line of a trust report: a search that went on since is another."""
    return f"Trust report after {trials} trials"


def read_verdict(path: Path, trials: int) -> str:
    """The sentence of the trust report on a run of so many trials; empty if there is none."""
    try:
        refuse_link(path / TRUST)
        with open(path / TRUST, encoding="utf-8", errors="replace") as file:
            title, *rest = file.read(_LONGEST_REPORT).splitlines()
    except (OSError, ValueError, InputError):
        return ""
    return one_line(rest[-1]) if rest and title == trust_title(trials) else ""


def default_path() -> Path:
    """``runs/<date>-<time>``, which no run of an earlier second has."""
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


def check_free(path: Path) -> None:
    """Refuse to touch what is there, and what could not be written at the end of a long search.

    Raises:
        InputError: There is something at `path` already, other than a run that ended before anything was recorded, or
            no folder can be made there.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise InputError(f"--run-dir {path}: {error.strerror}") from None
    else:
        if is_blank(path):
            return
        raise InputError(f"--run-dir {path}: exists already; add --resume to go on with it, or name another")
    above = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise InputError(f"--run-dir {path}: cannot be made, {above} is no folder that can be written to")


def is_blank(path: Path) -> bool:
    """Whether a run was stopped there before anything was recorded."""
    journal = path / JOURNAL
    if path.is_symlink() or not path.is_dir() or journal.is_symlink():
        return False
    return next(read(journal), None) is None if journal.exists() else not any(path.iterdir())


def open_journal(path: Path, config: RunConfig, plan: dict[str, Any] | None = None) -> Journal:
    """The run's journal, locked for writing; made with the run's header where there is none yet.

    Args:
        path: The run's directory.
        config: The resolved config.
        plan: What was planned for a new run's time.

    Raises:
        InputError: Another process writes to the run, or its journal is damaged.
    """
    make_folder(path)
    journal = Journal(path / JOURNAL)
    if next(journal.events(), None) is None:
        write_atomic(path / "config.yaml", configs.to_yaml(config))
        header = {"event": "run", "config": configs.to_plain(config), "versions": configs.versions()}
        journal.append(header | ({"plan": plan} if plan else {}))
    return journal


def inside(run: Path, *parts: str) -> Path:
    """A path within a run's directory, to be written to.

    Raises:
        InputError: A folder on the way to it is a link, and may lead elsewhere.
    """
    path = run
    for part in parts[:-1]:
        path = path / part
        refuse_link(path)
    return path / parts[-1]


def export(run: Run, study: Study, config: SearchConfig) -> None:
    """Write best.yaml, top/*.yaml and trials.csv of what is finished so far; best.yaml of a final's winner stays."""
    for rank, trial in enumerate(study.ranking()[: config.top], 1):
        text = architecture_yaml(run.path, study, trial, config)
        write_atomic(inside(run.path, "top", f"{rank:02d}.yaml"), text)
        if rank == 1 and run.final is None:
            write_atomic(run.path / "best.yaml", text)
    write_atomic(run.path / "trials.csv", table.to_csv(run.table()))


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
        "data": configs.images_of(config.evaluator),
        "versions": configs.versions(),
    }
    return study.architecture(trial).to_yaml(name=f"{path.name}-{trial.number}", metrics=metrics, provenance=provenance)
