"""Where a data set's images are kept while a network is trained on them.

Small sets go to the GPU as a whole, where cropping and flipping cost nothing. Large ones stay where they are, mapped
from the cache of decoded images: ImageNet at 224 pixels is 180 GiB. Then each batch is gathered in pinned memory,
from which it is copied while the GPU still works on those before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from evaluator.data.dataset import Images

MOST_ON_DEVICE = 4 * 2**30
"""Bytes of images above which they stay on the host."""
SHARE_OF_DEVICE = 0.125
"""Of a GPU's memory, likewise: the rest is for networks, and several workers may share it."""


@dataclass(frozen=True, slots=True)
class HostImages(Images):
    """Images in host memory whose batches are on another device. Indices lie where the labels do: on the host."""

    target: torch.device

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.target

    def __getitem__(self, index: torch.Tensor) -> Images:
        """A batch, on its device."""
        pinned = self.target.type == "cuda"
        images = self.images.new_empty((len(index), *self.images.shape[1:]), pin_memory=pinned)
        torch.index_select(self.images, 0, index, out=images)
        labels = self.labels[index].pin_memory() if pinned else self.labels[index]
        return Images(images.to(self.target, non_blocking=True), labels.to(self.target, non_blocking=True))


def place(data: Images, device: torch.device) -> Images:
    """Images whose batches are on `device`: all of them there, or kept on the host where they are large."""
    if device.type == "cuda":
        most = min(MOST_ON_DEVICE, SHARE_OF_DEVICE * torch.cuda.get_device_properties(device).total_memory)
        if data.images.numel() > most:
            return HostImages(data.images, data.labels, device)
    return Images(data.images.to(device), data.labels.to(device))
