"""The config in a journal's header, which may come from a stranger or from an earlier version."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from controller.registry import CONTROLLERS
from evaluator.base import CACHE_DIR
from evaluator.registry import DATASETS, EVALUATORS
from nas.config import REGISTRIES, TOLD, RunConfig, SearchConfig, to_plain
from nas.history import GROWING, fold
from nas.journal import read
from nas.runs.deployment import DEMONSTRATION
from nas.runs.directory import JOURNAL
from search_space.errors import InputError
from search_space.io import named, schema

ConfigT = TypeVar("ConfigT", bound=RunConfig)
_OURS = {"controller": CONTROLLERS, "evaluator": EVALUATORS, "data": DATASETS}
_FOLDERS = ("keep", "cache_dir")  # evaluators' settings that say where they leave files
_GONE = {"screen": (None,), "screen_ratio": (None, 5), "feature": (None,)}  # settings of version 0.1, and defaults


def from_header(data: Mapping[str, Any], cls: type[ConfigT]) -> ConfigT:
    """The config in a journal's header, checked as far as that needs nothing that it names: no class is imported.

    Args:
        data: The header's config; one of an earlier version may hold settings that are gone, at their defaults.
        cls: The config's class.

    Raises:
        InputError: Unknown or missing keys, wrong types or values.
    """
    plain = without_gone(data)
    for kind in REGISTRIES.keys() & plain.keys():
        component = dict(plain[kind]) if isinstance(plain[kind], Mapping) else {}
        name, preset = component.pop("name", None), component.pop("preset", "default")
        plain[kind] = {"name": name, "preset": preset, "settings": component}
    if isinstance(plain.get("objective"), Mapping):
        plain["objective"] = {**plain["objective"], "target_macs": plain.get("target_flops")}
    return schema.from_mapping(cls, plain, "config")


def without_gone(data: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config without the settings of earlier versions that said nothing.

    Raises:
        InputError: A setting that is gone was in use.
    """
    for name, defaults in _GONE.items():
        if data.get(name) not in defaults:
            raise InputError(f"config.{name}: {data[name]!r} was a setting of an earlier version; it is gone")
    return {name: value for name, value in data.items() if name not in _GONE}


def recorded_config(path: Path, command: str) -> dict[str, Any] | None:
    """The config in the header of a run's journal; None if the run was killed before it wrote one.

    Args:
        path: The run's directory.
        command: What is to go on with it: ``nas-search`` or ``nas-grid``.

    Raises:
        InputError: There is no run at `path`, it is another command's, or its journal is damaged.
    """
    if not os.path.isdir(path):
        raise InputError(f"--run-dir {path}: no run to resume, there is no such directory")
    journal = path / JOURNAL
    events = read(journal) if journal.exists() else iter(())
    header = next(events, None)
    if header is None:
        if any(path.iterdir()) and not journal.exists():
            raise InputError(f"--run-dir {path}: not a run, it has files but no {JOURNAL}")
        return None
    if header.get("event") != "run":
        raise InputError(f"{journal}, line 1: not the header of a run")
    if not isinstance(header.get("config"), dict):
        raise InputError(f"{journal}, line 1: not the header of a run")
    history = fold([header, *(event for event in events if event.get("event") in ("evaluator", "extended"))], journal)
    if command != (begun := "nas-grid" if "baseline" in history.config else "nas-search"):
        raise InputError(f"--run-dir {path}: was begun by {begun}, and {command} cannot go on with it")
    return without_gone(history.config)


def check_trusted(path: Path, recorded: Mapping[str, Any], said: Sequence[object], *, trusted: bool) -> None:
    """Refuse to import, or to write to, what only a run's journal names: the run may come from a stranger.

    Args:
        path: The run's directory.
        recorded: The config in its journal.
        said: What the user said, on the command line or in Python: names in it are the user's own.
        trusted: Whether the user allows all of it.

    Raises:
        InputError: Something would be imported, or files left in a folder.
    """
    for found, what in (
        (code_in, "Python code that this would import"),
        (folders_in, "folders that this may write to"),
    ):
        names = sorted(set(found(recorded)) - {name for part in said for name in found(part)})
        if names and not trusted:
            raise InputError(
                f"{path}: its journal names {what}: {', '.join(names)}; if you trust it, add --trust-code "
                "(in Python: trust_code=True)"
            )


def check_time(path: Path, before: SearchConfig, now: SearchConfig, flag: str) -> None:
    """Refuse to go on for a shorter time than a run was begun with, or for one where nothing was planned.

    Args:
        path: The run's directory.
        before: What it was begun with.
        now: What is asked for.
        flag: What the time was given as, up to its value.

    Raises:
        InputError: The time would not grow.
    """
    if now.time != before.time and (before.time is None or (now.time or 0.0) < before.time):
        begun = "without" if before.time is None else f"with {before.time:g} s"
        raise InputError(f"{flag}{now.time or 0:g}s: {path} was begun {begun}; a run can only grow")


def check_inherited(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other weights to inherit than a run was begun with.

    Args:
        path: The run's directory.
        before: What the evaluator said of itself when the run began.
        now: What it says.

    Raises:
        InputError: The checkpoint has changed.
    """
    if before.get("inherit") != now.get("inherit"):
        raise InputError(f"--resume: {path}: the checkpoint that its networks begin with is another one now")


def trust_flag(plain: Mapping[str, Any]) -> str:
    """What a command must be given to go on with a run that this user began: what it names is the user's own."""
    return " --trust-code" if code_in(plain) or folders_in(plain) else ""


def grown_flags(settings: SearchConfig, plain: Mapping[str, Any]) -> str:
    """What a run that grew must be told again to go on as far; empty where nothing.

    Args:
        settings: The run's, grown.
        plain: The config of its header, which says what it was begun with.
    """
    now = {"trials": settings.trials, "time": settings.time, "final": settings.final}
    return "".join(f" --set {name}={value}" for name, value in now.items() if value != plain.get(name))


def is_fit(plain: Mapping[str, Any]) -> bool:
    """Whether a run has what makes it one that `nas-fit` goes on with, to its end: the folder of the winner."""
    return bool(plain.get("final") and plain.get("evaluator", {}).get("inherit"))


def training_flags(plain: Mapping[str, Any]) -> str:
    """What `nas-train` must be told to train on a run's own images, and from its checkpoint; empty where nothing."""
    found = plain.get("evaluator", {})
    flags = []
    if (data := found.get("data")) and data != DEMONSTRATION:
        flags.append(f" --data {shlex.quote(str(data))}")
    if found.get("mirror") is False:
        flags.append(" --no-mirror")
    if found.get("inherit") and found.get("parent"):
        flags.append(f" --init {shlex.quote(str(found['inherit']))} --parent {shlex.quote(str(found['parent']))}")
    return "".join(flags)


def folders_in(plain: object) -> list[str]:
    """Every folder in plain settings that an evaluator would leave files in, other than the usual one."""
    evaluator = plain.get("evaluator") if isinstance(plain, Mapping) else None
    if not isinstance(evaluator, Mapping):
        return []
    return [str(evaluator[name]) for name in _FOLDERS if evaluator.get(name) not in (None, str(CACHE_DIR))]


def code_in(plain: object, kind: str = "") -> list[str]:
    """Every text in plain settings that names a user's own Python object, which resolving them would import.

    Args:
        plain: The settings.
        kind: What they are of: ``table:FILE`` is an evaluator of ours, but as a space it would be somebody's module.
    """
    if isinstance(plain, Mapping):
        return [name for key, value in plain.items() for name in code_in(value, kind if key == "name" else str(key))]
    if isinstance(plain, list | tuple):
        return [name for value in plain for name in code_in(value, kind)]
    if isinstance(plain, str) and named.CODE.fullmatch(plain) and plain.partition(":")[0] not in _OURS.get(kind, ()):
        return [plain]
    return []


def differences(before: RunConfig, after: RunConfig) -> list[str]:
    """The settings in which two runs differ, beyond those that may change."""
    old, new = _flat(to_plain(before)), _flat(to_plain(after))
    grown = {name for name in GROWING & old.keys() & new.keys() if new[name][: len(old[name])] == old[name]}
    names = sorted({*old, *new} - before.FREE - grown)
    if old.get("evaluator.name") == TOLD:  # whoever goes on may name what finds the rest
        names = [name for name in names if not name.startswith("evaluator.")]
    return [f"{name} {old.get(name)}, not {new.get(name)}" for name in names if old.get(name) != new.get(name)]


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
