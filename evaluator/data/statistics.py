"""Mean and deviation of pixels, by which images are normalised."""

from __future__ import annotations

import torch

Statistics = tuple[torch.Tensor, torch.Tensor]
"""Mean and standard deviation (1, C, 1, 1) of pixels, 0 to 255."""
_MOST_PIXELS = 2**27  # values that statistics are taken of at once


def channel_statistics(images: torch.Tensor) -> Statistics:
    """Mean and standard deviation (1, C, 1, 1) of some 10,000 uint8 images (N, C, H, W), pixels 0 to 255.

    Of large images fewer are taken, so that their copies in floating point fit into memory.
    """
    stride = max(1, len(images) // max(1, min(10_000, _MOST_PIXELS // images[0].numel())))
    pixels = images[::stride].float()
    return pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True).clamp_min(1.0)
