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


@dataclass(frozen=True, slots=True)
class Origin:
    """What weights that a network was given come from."""

    classes: int
    """Outputs of the network that they were trained as."""
    pixels: tuple[Channels, Channels] | None
    """Mean and deviation of the pixels, 0 to 255, that they were trained with; None where our file does not say."""
    class_names: tuple[str, ...] = ()
    """Of those classes; empty where the file does not say."""

    def caution(self, class_names: tuple[str, ...]) -> str:
        """What to say where they may have been trained on the very images that are held out now; else empty."""
        if self.class_names != class_names:
            return ""
        return (
            "Warning: the initial weights tell the same classes apart. If they were trained on these images, they have "
            "seen most of those that are held out now: accuracies on them, and comparisons with what has seen less, "
            "are worth nothing; test images decide"
        )


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


def origin_of(metadata: Mapping[str, str], classes: int, source: str) -> Origin:
    """What a file of ours says of its weights; arguments and errors are those of `from_metadata`."""
    known = from_metadata(metadata, classes, source)
    if known is None:
        return Origin(classes, None)
    return Origin(classes, (known.pixel_mean, known.pixel_std), known.class_names)
