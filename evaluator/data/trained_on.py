"""What whoever uses trained weights must know: how inputs were normalised, what outputs are called.

It rides in the metadata of weights files and ONNX files, as JSON texts by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from search_space.errors import InputError, check_fields, one_line
from search_space.io import schema

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """What a network was trained on.

    Raises:
        InputError: Fields out of range, by name.
    """

    pixel_mean: Channels
    """Of red, green and blue, pixels 0 to 255. Inputs are (pixels - mean) / deviation."""
    pixel_std: Channels
    """Their standard deviations."""
    class_names: tuple[str, ...]
    """In the order of the outputs."""
    input_size: int
    """Height and width of the images, pixels."""
    batchnorm_momentum: float
    """Of the running averages, in PyTorch's terms: training goes on with the same."""

    def __post_init__(self) -> None:
        check_fields(
            (min(self.pixel_std) > 0, "pixel_std", self.pixel_std, "above 0"),
            (self.input_size >= 1, "input_size", self.input_size, "at least 1"),
            (0 < self.batchnorm_momentum <= 1, "batchnorm_momentum", self.batchnorm_momentum, "above 0 and at most 1"),
        )

    def to_metadata(self) -> dict[str, str]:
        """By name, as JSON texts; read back by `from_metadata`."""
        return {name: json.dumps(value) for name, value in sorted(asdict(self).items())}


def from_metadata(metadata: Mapping[str, str], classes: int, source: str) -> TrainedOn | None:
    """Read what `to_metadata` wrote; None where a file's metadata hold nothing of it.

    Args:
        metadata: Of a file that may come from anywhere.
        classes: Outputs of the network.
        source: The file, for errors.

    Raises:
        InputError: They are damaged, or of another number of classes.
    """
    names = [field.name for field in fields(TrainedOn)]
    if not any(name in metadata for name in names):
        return None
    try:
        values = {name: json.loads(metadata[name]) for name in names if name in metadata}
    except (ValueError, RecursionError) as error:
        raise InputError(one_line(f"{source}: its metadata are damaged: {error}")) from None
    found = schema.from_mapping(TrainedOn, values, f"{source}: metadata")
    if len(found.class_names) != classes:
        raise InputError(f"{source}: metadata: {len(found.class_names)} class_names for {classes} outputs")
    return found
