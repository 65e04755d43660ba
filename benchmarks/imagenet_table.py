"""Make the packaged table of ImageNet trainings from the archive that Accel-NASBench published.

    python -m benchmarks.imagenet_table anb_dataset_jsons.tar.gz

The archive is `anb_dataset/anb_dataset_jsons.tar.gz` of https://github.com/afzalxo/Accel-NASBench. It always gives the
same table. Figures of devices are rounded to five digits, below what they vary by; all others are as published.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from evaluator.tabular.accel_nasbench import CHOICES, LATENCIES, TABLE, THROUGHPUTS
from search_space.io.files import write_atomic


def table(archive: Path) -> str:
    """The table as CSV: one line a training, in the order of their files' names."""
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar if m.isfile() and m.name.endswith(".json")), key=lambda m: m.name)
        networks = [json.loads(tar.extractfile(m).read()) for m in members]  # type: ignore[union-attr]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*CHOICES, "top1", "macs", "params", *THROUGHPUTS, *LATENCIES])
    writer.writerows(_row(network) for network in networks)
    return file.getvalue()


def _row(network: dict[str, Any]) -> list[object]:
    chosen, info, measured = network["architecture"], network["model_info"], network["platform_perf"]
    letters = {"expand": "e", "kernel": "k", "layers": "l", "se": "se"}
    choices = ["".join(str(int(chosen[f"block{i}_{letters[name]}"])) for i in range(7)) for name in CHOICES]
    counts = [round(info[name] * 1e6) for name in ("macs", "params")]
    return [
        *choices,
        network["metrics"]["val_top1"],
        *counts,
        *(_figure(measured[f"throughput_{name}"]["throughput_mean"]) for name in THROUGHPUTS.values()),
        *(_figure(measured[f"latency_{name}"]["latency_mean"]) for name in LATENCIES.values()),
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    text = table(parser.parse_args().archive)
    write_atomic(TABLE, gzip.compress(text.encode(), mtime=0))
    print(f"{TABLE}: {len(text.splitlines()) - 1} trainings, {TABLE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
