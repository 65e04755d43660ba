"""Amounts as people write them: 400M, 0.4B, 3.9e8."""

from __future__ import annotations

import re
from decimal import Decimal

from search_space.errors import InputError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12}
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3}))?\s*([KMBGT]?)", re.IGNORECASE | re.ASCII)
_LARGEST = 10**18


def parse_amount(text: str, name: str = "amount") -> int:
    """A positive whole number from ``400M``, ``0.4B``, ``3.9e8`` or ``385814752``; fractions are rounded.

    Args:
        text: What was written.
        name: The flag or field, for the error.

    Raises:
        InputError: Not such an amount, or not from 1 to 10^18.
    """
    match = _AMOUNT.fullmatch(text.strip()) if len(text) <= 60 else None
    if match is None:
        raise InputError(f"{name}: expected an amount such as 400M, 0.4B or 3.9e8, got {text[:60]!r}")
    digits, exponent, unit = match.groups()
    exact = Decimal(f"{digits}e{exponent or 0}") * _UNITS[unit.upper()]
    if not 1 <= exact <= _LARGEST:
        raise InputError(f"{name}: must be from 1 to 10^18, got {text!r}")
    return round(exact)


def parse_band(text: str, name: str = "band") -> tuple[int, int]:
    """Two amounts, low and high, from ``380M-450M``.

    Raises:
        InputError: Not two amounts joined by a dash, or the first is above the second.
    """
    low, dash, high = text.rpartition("-")
    if not dash:
        raise InputError(f"{name}: expected two amounts such as 380M-450M, got {text[:60]!r}")
    band = parse_amount(low, name), parse_amount(high, name)
    if band[0] > band[1]:
        raise InputError(f"{name}: must run from low to high, got {text!r}")
    return band


def parse_milliseconds(text: str, name: str = "latency") -> float:
    """Milliseconds from ``20ms``, ``0.5s`` or ``20``.

    Raises:
        InputError: Not such a time, or not above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s)?", text.strip(), re.ASCII) if len(text) <= 60 else None
    value = float(match[1]) * (1000 if match[2] == "s" else 1) if match else 0.0
    if not 0 < value < 10**9:
        raise InputError(f"{name}: expected a time above 0 such as 20ms or 0.5s, got {text[:60]!r}")
    return value


def parse_seconds(text: str, name: str = "time") -> float:
    """Seconds from ``90s``, ``20m``, ``1.5h`` or ``1200``.

    Raises:
        InputError: Not such a time, or not above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", text.strip(), re.ASCII) if len(text) <= 60 else None
    value = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not 0 < value < 10**9:
        raise InputError(f"{name}: expected a time above 0 such as 90s, 20m or 2h, got {text[:60]!r}")
    return value


def parse_seconds_of(text: str, name: str, whole: str, seconds: float | None) -> float:
    """A time as `parse_seconds` takes it, or as a part such as ``20%`` of another.

    Args:
        text: What was written.
        name: Of what.
        whole: What the other is called.
        seconds: The other; None where there is none.

    Raises:
        InputError: Neither, or a part that is nothing or all.
    """
    if not text.endswith("%"):
        return parse_seconds(text, name)
    share = parse_share(text, name)
    if seconds is None or not 0.01 <= share <= 0.99:
        raise InputError(f"{name}: a percentage is one of {whole}, 1% to 99%, got {text!r}, {whole} {seconds}")
    return share * seconds


def parse_share(text: str, name: str) -> float:
    """0.2 from ``20%``.

    Raises:
        InputError: Not a percentage from 0 to 10,000.
    """
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else -1.0
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise InputError(f"{name}: expected a percentage such as 20%, got {text!r}")
    return share


def format_amount(amount: int) -> str:
    """Four significant digits and a unit: 385814752 is ``385.8M``."""
    text = str(amount)
    for unit in ("", "K", "M", "B", "T"):
        text = f"{amount / _UNITS[unit]:.4g}"
        if float(text) < 1000:
            return text + unit
    return f"{amount / _UNITS['T']:.0f}T"


def format_clock(seconds: int) -> str:
    """``3:20`` for minutes and seconds, ``5:12:00`` from an hour on."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
