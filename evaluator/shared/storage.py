"""Shared weights on disk: tensors beside the space and the sizes that say what they are of. The file is data."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluator.shared.network import SharedNetwork
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import schema
from search_space.io.files import write_atomic
from search_space.space import SearchSpace
from search_space.space_format import SpaceDocument

VECTORS = ("weights", "averages", "velocity")
COUNTS = ("steps", "seconds", "rate", "restarts", "begun", "recent")
_SIZES = {"width": float, "unstrided": int, "resolution": int, "classes": int}


def save(
    path: Path,
    shared: SharedNetwork,
    counts: Mapping[str, float],
    vectors: Mapping[str, Tensor],
    finished: Sequence[Tensor],
) -> None:
    """Write a training's state; the file is whole or not there.

    Args:
        path: Where.
        shared: Whose weights they are.
        counts: A number for each of `COUNTS`.
        vectors: (size,) for each of `VECTORS`, of the set that is being trained.
        finished: (size,) weights of each set that is complete.
    """
    space = {"document": schema.to_plain(shared.space.document), "reference": shared.space.reference.to_yaml()}
    sizes = {name: getattr(shared, name) for name in _SIZES}
    content = io.BytesIO()
    state = {"space": space, "sizes": sizes, "counts": dict(counts), "vectors": dict(vectors)}
    torch.save(state | {"finished": list(finished)}, content)
    write_atomic(path, content.getvalue())


def load(path: Path) -> tuple[SharedNetwork, dict[str, float], dict[str, Tensor], list[Tensor]]:
    """Read what `save` wrote, onto the CPU.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        space, sizes, counts, vectors = (dict(state[name]) for name in ("space", "sizes", "counts", "vectors"))
        sizes = {name: kind(sizes[name]) for name, kind in _SIZES.items()}
        counts = {name: float(counts[name]) for name in COUNTS}
        finished = list(state["finished"])
    except Exception as error:  # noqa: BLE001 - on damaged input the reader raises anything
        raise InputError(f"{path}: not the weights of a shared training, or damaged: {type(error).__name__}") from None
    shared = SharedNetwork(_space(space, str(path)), **sizes)
    whole = all(_is_whole(vector, shared.size) for vector in [*map(vectors.get, VECTORS), *finished])
    if not whole or not all(0 <= value < math.inf for value in counts.values()):
        raise InputError(f"{path}: {', '.join(VECTORS)} must be {shared.size:,} finite numbers each, as every set")
    return shared, counts, vectors, finished


def _space(plain: Mapping[str, Any], source: str) -> SearchSpace:
    document = schema.from_mapping(SpaceDocument, plain.get("document"), source)
    return SearchSpace.around(Architecture.from_yaml(str(plain.get("reference")), source), document)


def _is_whole(vector: object, size: int) -> bool:
    fits = isinstance(vector, Tensor) and vector.shape == (size,) and vector.dtype == torch.float32
    return fits and bool(vector.isfinite().all())  # type: ignore[attr-defined]
