"""What earlier searches found, for a controller to learn from before its first batch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from controller.base import Outcome
from controller.promoting import SHORT
from evaluator.objective import Objective
from nas import journal
from nas.history import fold
from nas.runs.directory import JOURNAL
from search_space.architecture import read_document
from search_space.cost import count
from search_space.decision import Space, Tokens
from search_space.errors import InputError
from search_space.io import strict_yaml
from search_space.io.files import read_text
from search_space.space import SearchSpace


def read(paths: Sequence[str], space: Space, objective: Objective) -> list[Outcome]:
    """The results in files, as outcomes under this search's objective.

    Args:
        paths: Journals of the same space (or their run directories), and architecture YAMLs with an accuracy among
            their metrics. The accuracies are taken as comparable with this search's own.
        space: What is searched.
        objective: What is rewarded.

    Raises:
        InputError: A file that is neither, or holds no result, or a network that the space does not contain.
    """
    return [outcome for path in paths for outcome in _read_one(Path(path), space, objective)]


def to_event(outcomes: Sequence[Outcome]) -> journal.Event:
    """The outcomes as an event that stands before a journal's first batch; a study tells it to its controller."""
    rows = [{**dataclasses.asdict(outcome), "tokens": list(outcome.tokens)} for outcome in outcomes]
    return {"event": "told", "outcomes": rows}


def _read_one(path: Path, space: Space, objective: Objective) -> list[Outcome]:
    path = path / JOURNAL if os.path.isdir(path) else path
    results = _journal(path, space) if path.suffix == ".jsonl" else [_document(path, space)]
    if not results:
        raise InputError(f"--warm-start {path}: no finished trial in it")
    outcomes = []
    for tokens, accuracy in results:
        reward = objective.reward(accuracy or 0.0, count(space.decode(tokens)).macs)
        outcomes.append(Outcome(tokens=tokens, reward=reward, accuracy=accuracy))
    return outcomes


def _journal(path: Path, space: Space) -> list[tuple[Tokens, float | None]]:
    """Tokens and accuracy of each trained trial."""
    history = fold(journal.read(path), path)
    trained = [t for t in history.finished if t.repeat_of is None]
    if history.config.get("promote"):  # its last token says how long: what trained on is no match for the others
        trained = [dataclasses.replace(t, tokens=t.tokens[:-1]) for t in trained if t.tokens[-1:] == (SHORT,)]
    if any(not _same(space, trial.tokens, trial.key) for trial in trained):
        raise InputError(f"--warm-start {path}: not a journal of the space {space.name}")
    return [(trial.tokens, trial.evaluation.accuracy) for trial in trained if trial.evaluation]


def _same(space: Space, tokens: Tokens, key: str) -> bool:
    """Whether the tokens mean the same network in this space."""
    try:
        return space.decode(tokens).key == key
    except ValueError:
        return False


def _document(path: Path, space: Space) -> tuple[Tokens, float]:
    """Tokens and accuracy of an architecture YAML."""
    try:
        architecture, metadata = read_document(read_text(path, strict_yaml.MAX_BYTES), str(path))
    except InputError as error:
        raise InputError(f"--warm-start {error}") from None
    accuracy = metadata.get("metrics", {}).get("accuracy")
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 <= accuracy <= 1:
        raise InputError(f"--warm-start {path}: metrics.accuracy must be a number from 0 to 1, got {accuracy!r}")
    if not isinstance(space, SearchSpace):
        raise InputError(f"--warm-start {path}: in a space of your own, only journals can be read")
    try:
        return space.encode(architecture), float(accuracy)
    except InputError as error:
        raise InputError(f"--warm-start {path}: {error}") from None
