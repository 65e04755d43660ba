"""The errors callers may catch."""

from __future__ import annotations


class NasError(Exception):
    """Root of every error this project raises on purpose."""


class InputError(NasError, ValueError):
    """A user's mistake: one line that names the source, the field, the value and what is allowed."""


def check_fields(*rules: tuple[bool, str, object, str]) -> None:
    """Hold a config's fields to its rules: (whether the rule holds, field, value, what is allowed).

    Raises:
        InputError: Rules that do not hold, all of them in one line.
    """
    broken = [f"{field} must be {allowed}, got {value!r}" for holds, field, value, allowed in rules if not holds]
    if broken:
        raise InputError("; ".join(broken))


def one_line(text: str, most: int = 500) -> str:
    """Text as one line that any terminal and any file can take: control characters escaped, and clipped."""
    safe = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:most])
    return safe if len(safe) <= most and len(text) <= most else safe[: most - 3] + "..."
