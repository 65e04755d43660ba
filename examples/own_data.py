"""Search and train on a data set of your own, made of arrays.

    python examples/own_data.py

`load` is named on a command line as `--data own_data:load`; see docs/own-parts.md for what it may return.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import nas
from evaluator.data.dataset import Dataset, Images, Request


def load(request: Request) -> Dataset:
    """300 images of bright bars, across or upright, in noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 2
    images = torch.randint(0, 160, (300, 1, 16, 16), generator=generator, dtype=torch.uint8)
    lines = torch.randint(0, 16, (300,), generator=generator)
    for image, label, line in zip(images, labels, lines, strict=True):
        bar = image[0, line] if label == 0 else image[0, :, line]
        bar.fill_(255)
    return Dataset(
        name="bars",
        classes=("across", "upright"),
        train=Images(images[:240], labels[:240]),
        load_test=lambda: Images(images[240:], labels[240:]),
        mirror=True,
    )


def main(folder: Path) -> None:
    """A few short trainings on the bars."""
    proxy = {"name": "proxy", "data": load, "epochs": 1}
    with nas.create_study("400M", evaluator=proxy, run_dir=folder / "bars", resume=True, batch=4, trials=4) as study:
        best = study.optimize()
    assert best is not None
    assert best.evaluation is not None
    print(f"best of {len(study.finished)}: {best.evaluation.accuracy:.1%} at {best.macs:,} multiply-adds")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
