"""The errors callers may catch."""

from __future__ import annotations

MOST = 1000
"""Characters of a message."""


class NasError(Exception):
    """Root of every error this project raises on purpose: one line, whatever text of others is in it."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message), MOST))


class InputError(NasError, ValueError):
    """A user's mistake: one line that names the source, the field, the value and what is allowed."""


def check_fields(*rules: tuple[bool, str, object, str]) -> None:
    """Hold a config's fields to its rules: (whether the rule holds, field, value, what is allowed).

    Raises:
        InputError: Rules that do not hold, all of them in one line.
    """
    broken = [f"{field} must be {allowed}, got {shown(value)}" for holds, field, value, allowed in rules if not holds]
    if broken:
        raise InputError("; ".join(broken))


def shown(value: object, most: int = 60) -> str:
    """A value as errors show it: as Python writes it, clipped."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def printable(text: str, keep: str = "") -> str:
    """Text that any terminal and any file can take: control characters escaped, but those in `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, most: int = 500) -> str:
    """Text as one line, printable and clipped."""
    safe = printable(text[:most])
    return safe if len(safe) <= most and len(text) <= most else safe[: most - 3] + "..."
