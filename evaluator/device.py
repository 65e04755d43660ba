"""Where a training runs: its device, its threads, and running out of memory there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from search_space.errors import InputError


def pick_device(name: str) -> torch.device:
    """The device of a name: ``auto`` is a GPU if there is one.

    Raises:
        InputError: ``cuda`` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device must be cpu or auto where there is no CUDA device, got 'cuda'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use so many CPU threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has an exception of its own; the CPU allocator raises a RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "allocate memory" in str(error) or "out of memory" in str(error)
