"""Where a data set's images are kept while a network is trained on them.

Small sets go to the GPU as a whole, where cropping and flipping cost nothing. Large ones stay where they are, mapped
from the cache of decoded images: ImageNet at 224 pixels is 180 GiB. Then each batch is gathered in pinned memory,
from which it is copied while the GPU still works on those before: `batches`.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from evaluator.data.dataset import Images

MOST_ON_DEVICE = 4 * 2**30
"""Bytes of images above which they stay on the host."""
SHARE_OF_DEVICE = 0.125
"""Of a GPU's memory, likewise: the rest is for networks, and several workers may share it."""
AHEAD = 2
"""Batches that are on their way to the GPU while it works on another."""


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


def batches(data: Images, order: torch.Tensor, size: int) -> Iterator[Images]:
    """The images at `order`, `size` at a time, on the device of the batches; the last batch may be smaller."""
    parts = order.split(size)
    if isinstance(data, HostImages) and data.device.type == "cuda":
        yield from _ahead(data, parts)
    else:
        yield from (data[part] for part in parts)


def _ahead(data: HostImages, parts: tuple[torch.Tensor, ...]) -> Iterator[Images]:
    """Batches that were sent on a stream of their own, while those before are worked on."""
    work = torch.cuda.current_stream(data.device)
    left = iter(parts)
    sent = deque(_send(data, part) for part in itertools.islice(left, AHEAD))
    worked: deque[torch.cuda.Event] = deque()
    while sent:
        batch, arrived = sent.popleft()
        sent.extend(_send(data, part) for part in itertools.islice(left, 1))
        work.wait_event(arrived)
        for tensor in (batch.images, batch.labels):
            tensor.record_stream(work)  # its memory is given out again only after the work on it
        yield batch
        worked.append(work.record_event(torch.cuda.Event(blocking=True)))
        if len(worked) > AHEAD:  # else this process would run on and fill the host's memory with pinned batches
            worked.popleft().synchronize()


def _send(data: HostImages, part: torch.Tensor) -> tuple[Images, torch.cuda.Event]:
    """A batch on its way, and what tells that it has arrived."""
    stream = _copies(data.device)
    with torch.cuda.stream(stream):
        batch = data[part]
    return batch, stream.record_event()


@functools.cache
def _copies(device: torch.device) -> torch.cuda.Stream:
    """One for all trainings: memory is kept apart by stream."""
    return torch.cuda.Stream(device)
