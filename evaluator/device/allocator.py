"""How the C library hands out memory on a CPU."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER, _NONE = -1, 0


def keep_freed_memory() -> None:
    """Let a training that begins keep the memory that it frees, for its next step; without glibc nothing happens.

    glibc gives large blocks, and what is free at the end of its heap, back to the system. The next step would get its
    activations as fresh pages, each zeroed by the kernel at its first use. What the training before has left is given
    back first.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # musl
        return
    library.malloc_trim(0)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    library.mallopt(_MMAP_MAX, _NONE)
