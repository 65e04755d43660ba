"""Things called by name: built-in names, ``name:argument``, files, and a user's own ``package.module:Class``."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from search_space.errors import InputError, shown
from search_space.io import strict_yaml
from search_space.io.files import read_text


def load_object(kind: str, spec: str, known: Mapping[str, str]) -> tuple[Any, str | None]:
    """Find what `spec` names: a known name, a known name with an argument, or an import path.

    Args:
        kind: What is looked for, for the error, e.g. ``"controller"``.
        spec: ``reinforce``, ``table:scores.csv`` or ``my_package.my_module:MyClass``; or what `name_of` called an
            object.
        known: Built-in names and their import paths.

    Returns:
        The object and the argument, None where there is none.

    Raises:
        InputError: An unknown name (with the known ones), or an import that fails (with why).
    """
    name, _, argument = spec.partition(":")
    if name in known:
        return import_object(known[name], kind), argument or None
    if spec in _given:
        return _given[spec], None
    # Nothing else is imported: where a run comes from a stranger, exactly such names are asked about first.
    if CODE.fullmatch(spec) and ("." in name or name in sys.modules or importlib.util.find_spec(name) is not None):
        return import_object(spec, kind), None
    raise InputError(unknown(kind, spec, known, "package.module:Class"))


_CONFIGS = Path(__file__).resolve().parents[2] / "configs"  # a folder of that name beside a script does no harm
CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""A user's own Python object, ``package.module:NAME``."""


def is_code(spec: str) -> bool:
    """Whether a name could be that of a user's own Python object, ``package.module:NAME``, and of no file."""
    return CODE.fullmatch(spec) is not None and not os.path.exists(spec)


def unknown(kind: str, name: object, known: Mapping[str, object] | list[str], otherwise: str) -> str:
    """The line that says a name is not known, and what is."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {shown(name, 100)}{hint}: known are {', '.join(known)}, or {otherwise}"


_given: dict[str, Any] = {}


def name_of(found: Any) -> str:
    """What to call an object of the user's in records: ``package.module:NAME``, by which this process finds it again.

    Args:
        found: A function, a class, or another object; of one that is no module's own by name, that of its class.
    """
    if not hasattr(found, "__qualname__"):
        holders = (sys.modules.get(name) for name in (type(found).__module__, "__main__"))
        names = (f"{m.__name__}:{n}" for m in holders if m for n, value in vars(m).items() if value is found)
        name = next(names, f"{type(found).__module__}:{type(found).__qualname__}")
    else:
        name = f"{found.__module__}:{found.__qualname__}"
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or "").stem
    if script.isidentifier():  # a notebook and a console have no script
        name = re.sub(r"^__main__(?=:)", script, name)
    _given[name] = found
    return name


def given(texts: Iterable[object]) -> dict[str, Any]:
    """The objects that `name_of` gave names which stand among these texts: another process knows them only so."""
    return {text: _given[text] for text in texts if isinstance(text, str) and text in _given}


def remember(objects: Mapping[str, Any]) -> None:
    """Know what `given` found in another process."""
    _given.update(objects)


def import_object(path: str, kind: str) -> Any:
    """The object at ``package.module:Name``, or that which `name_of` was given under this name.

    Raises:
        InputError: The module or the name does not exist, or importing it fails.
    """
    if path in _given:
        return _given[path]
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise InputError(f"{kind} {path!r}: cannot import {module_name}: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise InputError(f"{kind} {path!r}: {module_name} has no {attribute!r}")
    return getattr(module, attribute)


def config_names(folder: str) -> list[str]:
    """Names of the YAML files installed in ``configs/<folder>``."""
    return sorted(path.stem for path in (_CONFIGS / folder).glob("*.yaml"))


def read_config(kind: str, folder: str, path_or_name: str | Path) -> tuple[str, str]:
    """The text of a file, or of an installed YAML, and the name to call it in errors.

    Args:
        kind: What is looked for, for the error, e.g. ``"architecture"``.
        folder: Where installed files of that kind are: ``architectures``, ``spaces`` or ``runs``.
        path_or_name: A path, or an installed file's name without ``.yaml``.

    Raises:
        InputError: Neither a file nor a known name, or not readable text.
    """
    name = str(path_or_name)
    if name in config_names(folder):
        return (_CONFIGS / folder / f"{name}.yaml").read_text(encoding="utf-8"), name
    if not os.path.isfile(name):
        raise InputError(unknown(kind, name, config_names(folder), "the path of a YAML file"))
    return read_text(Path(name), strict_yaml.MAX_BYTES), name
