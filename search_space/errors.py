"""The errors callers may catch."""

from __future__ import annotations


class NasError(Exception):
    """Root of every error this project raises on purpose."""


class InputError(NasError, ValueError):
    """A user's mistake: one line that names the source, the field, the value and what is allowed."""
