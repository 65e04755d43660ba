"""Accel-NASBench (arXiv:2404.08005): networks of the MnasNet space that its authors trained on ImageNet.

The facts of each training lie beside this module as compressed CSV: choices, accuracy, cost, speed on six devices.
benchmarks/imagenet_table.py makes it from what was published; accel_nasbench.NOTICE says whose work it is.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

from search_space.architecture import Architecture, Stage

TABLE = Path(__file__).with_name("accel_nasbench.csv.gz")
CHOICES = ("expand", "kernel", "layers", "se")
"""Columns that hold one digit a stage; B0 is 1666666, 3353553, 1223341, 1111111."""
THROUGHPUTS = {
    "a100_images_s": "a100",
    "rtx3090_images_s": "3090",
    "tpuv2_images_s": "tpuv2",
    "tpuv3_images_s": "tpuv3",
    "zcu102_images_s": "zcu102",
    "vck190_images_s": "vck190",
}
"""Columns of images a second: two GPUs, two TPUs, two FPGAs; and what the publication calls the devices."""
LATENCIES = {"zcu102_ms": "zcu102", "vck190_ms": "vck190"}
"""Columns of milliseconds an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One training and what was published of its network."""

    architecture: Architecture
    accuracy: float
    """Top-1 on ImageNet's validation images after a short training, in [0, 1]."""
    macs: int
    """MACs as published: an old profiler's convention, 7 to 10 % above multiply-adds alone."""
    params: int
    speed: dict[str, float]
    """By column of `THROUGHPUTS` and `LATENCIES`; what was not measured is left out."""


def read() -> list[Published]:
    """All 5,138 trainings, in the order of the published files' names; 13 networks were trained twice."""
    text = gzip.decompress(TABLE.read_bytes()).decode()
    return [_published(row) for row in csv.DictReader(io.StringIO(text))]


def _published(row: dict[str, str]) -> Published:
    stages = tuple(_stage(i, *(row[name][i] for name in CHOICES)) for i in range(len(_base().stages)))
    return Published(
        architecture=dataclasses.replace(_base(), stages=stages),
        accuracy=float(row["top1"]) / 100,
        macs=int(row["macs"]),
        params=int(row["params"]),
        speed={name: float(row[name]) for name in (*THROUGHPUTS, *LATENCIES) if row[name]},
    )


@functools.cache
def _base() -> Architecture:
    return Architecture.load("efficientnet-b0")


@functools.cache
def _stage(index: int, expand: str, kernel: str, layers: str, se: str) -> Stage:
    return dataclasses.replace(
        _base().stages[index],
        expand=int(expand),
        kernel=int(kernel),
        layers=int(layers),
        se=0.25 if se == "1" else 0.0,
    )
