"""What the user should know of a data set before anything is trained on it."""

from __future__ import annotations

import math

import torch

from evaluator.data.dataset import Dataset
from search_space.errors import printable

FEW_TRAINED = 20
"""Training images below which a class is hardly learned."""
FEW_SCORED = 200
"""Scored images below which the standard error of an accuracy of one half is above 3.5 points."""
FLAT = 2.0
"""Standard deviation of pixels, 0 to 255, below which images are nearly of one colour."""
_MOST_NAMED = 10
_SAMPLED = 64


def notes(dataset: Dataset, trained: torch.Tensor, scored: torch.Tensor) -> list[str]:
    """Lines for the user: what was recognised, and what cannot go well.

    Args:
        dataset: The data set.
        trained: Indices of the training images that are trained on.
        scored: Indices of those that are scored on.
    """
    lines = list(dataset.notes)
    if dataset.mirror:
        lines.append(
            "Images are flipped left to right in training; where that makes another class of them (letters, signs): "
            "--no-mirror"
        )
    counts = dataset.train.labels[trained].bincount(minlength=len(dataset.classes)).tolist()
    tiny = sorted((count, name) for name, count in zip(dataset.classes, counts, strict=True) if count < FEW_TRAINED)
    if tiny:
        named = ", ".join(f"{printable(name[:40])} {count}" for count, name in tiny[:_MOST_NAMED])
        more = f" and {len(tiny) - _MOST_NAMED} more" if len(tiny) > _MOST_NAMED else ""
        lines.append(f"Warning: few images to train on: {named}{more}; below {FEW_TRAINED} a class is hardly learned")
    if len(scored) < FEW_SCORED:
        error = 50 / math.sqrt(len(scored))
        lines.append(
            f"Warning: accuracy is scored on {len(scored)} held-out images: its standard error is up to {error:.1f} "
            "points"
        )
    images = dataset.train.images
    deviation = float(images[:: max(1, len(images) // _SAMPLED)][:_SAMPLED].float().std())
    if deviation < FLAT:
        lines.append(
            f"Warning: the images are nearly of one colour: their pixels have a standard deviation of {deviation:.1f} "
            "of 255; where they use a part of 16 bits, stretch them first"
        )
    return lines
