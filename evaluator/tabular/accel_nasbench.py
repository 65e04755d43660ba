"""Accel-NASBench (arXiv:2404.08005): networks of the MnasNet space that were trained on ImageNet, as published.

The file is `anb_dataset/anb_dataset_jsons.tar.gz` of its repository: one JSON a network.
"""

from __future__ import annotations

import dataclasses
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space.architecture import Architecture
from search_space.errors import InputError

ARCHIVE = "anb_dataset_jsons.tar.gz"


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
            members = sorted((m for m in archive if m.isfile() and m.name.endswith(".json")), key=lambda m: m.name)
            rows = [json.loads(archive.extractfile(member).read()) for member in members]  # type: ignore[union-attr]
        published = [_published(row, base) for row in rows]
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file}: not readable as Accel-NASBench's {ARCHIVE}: {type(error).__name__}: {error}"
        ) from None
    if not published:
        raise InputError(f"{file}: no network in it")
    return published


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
        accuracy=float(row["metrics"]["val_top1"]) / 100,
        macs=round(float(row["model_info"]["macs"]) * 1e6),
    )
