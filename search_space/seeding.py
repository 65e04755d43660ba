"""Random seeds derived from (run seed, purpose, index), never from a shared stream.

A stream shared between components makes every draw depend on all draws before it, so that a resumed or
parallel run differs from a quiet one. A derived seed depends on its name alone.
"""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, the same in every process and version.

    Args:
        seed: The run's seed.
        purpose: What the seed is for, e.g. ``("ask", 3)``.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
