"""Rows of measurements as Markdown, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.on_gpu.loops import Row
from evaluator.proxy_config import PRESETS

TITLES = {
    "limits": "What the device can do",
    "steps": "A training step of EfficientNet-B0, images a second",
    "packing": "Several candidates at once, in processes",
    "streams": "Several candidates at once, on streams of one process",
    "mps": "Several candidates at once, in processes under MPS",
    "profile": "Where a step's time goes",
    "deterministic": "What repeating kernels cost",
    "journal": "Two searches of one seed",
    "latency": "Latency, measured again and again",
    "distance": "Distance to the limits of the device",
    "extrapolated": "Extrapolated, not measured: a full search",
}
IMAGES = {"imagenet100": (100, 130_000), "imagenet": (1000, 1_281_167)}
"""Classes and training images, at most, of the data that the presets are for."""
SCORED = 1 / 3
"""What scoring an image costs, of training on it: a forward pass without a backward one."""


NETWORKS = (32, 200)
"""Of a search: by default, and of one that takes its time."""


def distance(rows: Iterable[Row]) -> list[Row]:
    """How much of the device's rates a captured step uses: of matrix products and of memory."""
    rows = list(rows)
    found = {key: value for row in rows if row["part"] == "limits" for key, value in row.items()}
    if "bf16_matmul_tflops" not in found or "copy_tb_per_second" not in found:
        return []
    out = []
    for row in rows:
        if row["part"] == "steps" and "captured_images_per_second" in row:
            rate = row["captured_images_per_second"]
            tflops, terabytes = rate * row["gflop_per_image"] / 1e3, rate * row["megabytes_per_image"] / 1e6
            out.append(
                {
                    "part": "distance",
                    "pixels": row["pixels"],
                    "tflops": round(tflops, 2),
                    "of_matmul": f"{tflops / found['bf16_matmul_tflops']:.1%}",
                    "tb_per_second": round(terabytes, 3),
                    "of_copy": f"{terabytes / found['copy_tb_per_second']:.1%}",
                }
            )
    return out


def extrapolated(rows: Iterable[Row]) -> list[Row]:
    """GPU hours of a search by preset, from the captured step at its size: B0 stands for all networks."""
    rates = {
        row["pixels"]: row["captured_images_per_second"]
        for row in rows
        if row["part"] == "steps" and "captured_images_per_second" in row
    }
    out = []
    for name, (classes, images) in IMAGES.items():
        preset = PRESETS[name]
        if preset.resolution not in rates:
            continue
        held_out = images * preset.validation_share
        shown = preset.epochs * (images - held_out + SCORED * held_out)
        hours = shown / rates[preset.resolution] / 3600
        out.append(
            {
                "part": "extrapolated",
                "preset": name,
                "pixels": preset.resolution,
                "classes": classes,
                "epochs": preset.epochs,
                "gpu_hours_a_network": round(hours, 2),
                **{f"gpu_hours_of_{count}": round(hours * count) for count in NETWORKS},
            }
        )
    return out


def markdown(rows: Sequence[Row], command: str) -> str:
    """All rows as a page: a title with the device's name, then a table for each part and each set of columns."""
    name = next((row["device"] for row in rows if "device" in row), "no GPU: figures without a meaning")
    lines = [f"# On a GPU: {name}", "", f"    {command}", ""]
    for part in dict.fromkeys(row["part"] for row in rows):
        lines += [f"## {TITLES.get(part, part)}", ""]
        group: list[Row] = []
        for row in [row for row in rows if row["part"] == part]:
            if group and list(row) != list(group[0]):
                lines += [*_table(group), ""]
                group = []
            group.append(row)
        lines += [*_table(group), ""]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    columns = [column for column in rows[0] if column != "part"]
    head = [column.replace("_", " ") for column in columns]
    body = [[_cell(row[column]) for column in columns] for row in rows]
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)]


def _cell(value: object) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (f"{value:,}" if whole else str(value)).replace("|", "/").replace("\n", " ")
