"""From plain data to typed values: a mapping becomes a frozen dataclass, or an error that names every wrong field."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from search_space.errors import InputError, shown

T = TypeVar("T")


def from_mapping(cls: type[T], data: object, source: str) -> T:
    """Build dataclass `cls` from a mapping, checking keys and types strictly.

    Args:
        cls: A dataclass whose fields are int, float, str, bool, None, Literal, tuple, Mapping or dataclasses.
        data: What a file or a command line gave.
        source: Prefix of the error: file name and dotted path.

    Raises:
        InputError: Unknown or missing keys, wrong types, or a rule of the dataclass; all problems in one line.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{source}: expected a mapping of {_names(cls)}, got {shown(data)}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    problems = [f"unknown key {shown(key)}{_hint(str(key), list(fields))}" for key in data if key not in fields]
    values = {}
    for name, field in fields.items():
        if name in data:
            try:
                values[name] = _convert(hints[name], data[name], f"{source}.{name}")
            except InputError as error:
                problems.append(str(error).removeprefix(f"{source}: ").removeprefix(f"{source}."))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.append(f"missing key {name!r}")
    if problems:
        raise InputError(f"{source}: " + "; ".join(problems))
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _names(cls: type) -> str:
    return ", ".join(field.name for field in dataclasses.fields(cls))


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(known)})"


def _convert(hint: Any, value: object, where: str) -> Any:
    """`value` as type `hint`, or InputError."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(args, value, where)
    if origin is Literal:
        if value in args and any(value is arg or (value == arg and type(value) is type(arg)) for arg in args):
            return value
        raise InputError(f"{where}: must be one of {', '.join(map(str, args))}, got {shown(value)}")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: expected a list, got {shown(value)}")
        if args[-1] is not Ellipsis and len(value) != len(args):
            raise InputError(f"{where}: expected {len(args)} values, got {len(value)}")
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(
            _convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected a mapping, got {shown(value)}")
        return {str(key): _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_mapping(hint, value, where)
    return _convert_scalar(hint, value, where)


def _convert_union(args: tuple[Any, ...], value: object, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    kinds = [arg for arg in args if arg is not type(None)]
    for kind in kinds[:-1]:
        try:
            return _convert(kind, value, where)
        except InputError:
            continue
    return _convert(kinds[-1], value, where)


def _convert_scalar(hint: Any, value: object, where: str) -> Any:
    if hint is Any or hint is object:
        return value
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    ok = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    if hint is float and type(value) is int and abs(value) <= sys.float_info.max:
        value, ok = float(value), True
    if not ok or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{where}: expected {words.get(hint, hint)}, got {shown(value)}")
    return value


def to_plain(value: Any) -> Any:
    """A value of dataclasses, tuples and mappings as plain data for YAML or JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value
