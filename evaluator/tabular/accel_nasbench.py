"""Accel-NASBench (arXiv:2404.08005): networks of the MnasNet space that were trained on ImageNet, as published.

The file is `anb_dataset/anb_dataset_jsons.tar.gz` of its repository: one JSON a network.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space.architecture import Architecture
from search_space.errors import InputError

ARCHIVE = "anb_dataset_jsons.tar.gz"
MOST_FILES, MOST_BYTES = 100_000, 1_000_000
"""The published archive has 5,138 files of some kilobytes."""
_ERRORS = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError),  # what unpacking raises
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),  # what wrong content does
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One network and what was published of it."""

    architecture: Architecture
    accuracy: float
    """Top-1 on ImageNet's validation images after a short training, in [0, 1]."""
    macs: int
    """MACs as published: an old profiler's convention, 7 to 10 % above multiply-adds alone."""


def read(path: str | Path) -> list[Published]:
    """All networks of the archive, in the order of their files' names; some were trained twice.

    Args:
        path: The archive, or the folder it lies in.

    Raises:
        InputError: No such file, or not this data set.
    """
    file = Path(path) / ARCHIVE if Path(path).is_dir() else Path(path)
    base = Architecture.load("efficientnet-b0")
    try:
        with tarfile.open(file) as archive:
            rows = dict(_rows(archive))
        published = [_published(rows[name], base) for name in sorted(rows)]
    except _ERRORS as error:
        raise InputError(
            f"{file}: not readable as Accel-NASBench's {ARCHIVE}: {type(error).__name__}: {error}"
        ) from None
    if not published:
        raise InputError(f"{file}: no network in it")
    return published


def _rows(archive: tarfile.TarFile) -> Iterator[tuple[str, Any]]:
    """Name and content of each JSON, in one pass, so that nothing is unpacked that was not looked at before.

    Raises:
        ValueError: More or larger files than the data set can have.
    """
    for number, member in enumerate(archive):
        if number >= MOST_FILES or member.size > MOST_BYTES:
            raise ValueError(f"{member.name}: more than {MOST_FILES:,} files, or than {MOST_BYTES:,} bytes in one")
        if member.isfile() and member.name.endswith(".json"):
            file = archive.extractfile(member)
            assert file is not None
            yield member.name, json.loads(file.read())


def _published(row: dict[str, Any], base: Architecture) -> Published:
    chosen = row["architecture"]
    stages = tuple(
        dataclasses.replace(
            stage,
            expand=int(chosen[f"block{i}_e"]),
            kernel=int(chosen[f"block{i}_k"]),
            layers=int(chosen[f"block{i}_l"]),
            se=0.25 if chosen[f"block{i}_se"] else 0.0,
        )
        for i, stage in enumerate(base.stages)
    )
    return Published(
        architecture=dataclasses.replace(base, stages=stages),
        accuracy=_share(float(row["metrics"]["val_top1"])),
        macs=round(float(row["model_info"]["macs"]) * 1e6),
    )


def _share(percent: float) -> float:
    if not 0 <= percent <= 100:
        raise ValueError(f"val_top1 must be from 0 to 100, got {percent}")
    return percent / 100
