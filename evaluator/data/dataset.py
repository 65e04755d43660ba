"""Labelled images as one uint8 tensor, by name.

A data set is loaded once a process. Its training images are split into those trained on and those scored on
(MnasNet section 5 holds 50,000 of ImageNet's training images out); its test images are read only where
`Dataset.load_test` is called, which a search never does.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch.nn import functional

from evaluator.base import CACHE_DIR
from evaluator.data.remote import is_url, local_copy
from evaluator.registry import DATASETS
from search_space.errors import InputError, NasError, check_fields, one_line
from search_space.io import named
from search_space.seeding import derive_seed

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with the number of images decoded and their total, from any thread."""

_RESIZE_CHUNK = 1024  # images resized at once: bounds the float copy


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images: `images` uint8 (N, C, H, W) and `labels` int64 (N,), class numbers from 0."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.images.device

    def __getitem__(self, index: torch.Tensor) -> Images:
        return Images(self.images[index], self.labels[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A classification data set."""

    name: str
    """What errors and the run's record call it."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of their numbers; at least two."""
    train: Images
    """All training images: those to train on and those to score on."""
    load_test: Callable[[], Images] | None
    """Reads the test images; a search never calls it. None where there are none."""
    mirror: bool = True
    """Whether an image flipped left to right still shows its class; digits do not."""
    notes: tuple[str, ...] = ()
    """What the user should know of it, lines: the layout that was recognised, what was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a data set's function is asked for."""

    spec: str
    """What the user wrote, for errors: ``folder:photos``."""
    argument: str | None
    """What stands after the name: a folder."""
    resolution: int | None
    """Height and width wanted, None for the data set's own. Images may be given in any size; they are resized once."""
    cache_dir: Path
    """Where decoded images may be kept."""
    progress: Progress
    """Told about slow work."""

    def folder(self) -> Path:
        """The argument as an existing folder; one at a URL is copied to the cache first.

        Raises:
            InputError: There is no argument, or no such folder.
        """
        name = self.spec.partition(":")[0]
        if not self.argument:
            raise InputError(f"data {self.spec!r}: needs a folder: {name}:DIR")
        if is_url(self.argument):
            return local_copy(self.argument, self.cache_dir)
        folder = Path(os.path.expanduser(self.argument))
        if not os.path.isdir(folder):
            raise InputError(f"data {self.spec!r}: {folder} is not a folder")
        return folder


def load_dataset(
    spec: str,
    resolution: int | None = None,
    cache_dir: Path = CACHE_DIR,
    progress: Progress = lambda done, total: None,
) -> Dataset:
    """Load a data set's training images.

    Args:
        spec: ``digits``, ``fashion-mnist:DIR``, ``mnist:DIR``, ``cifar10:DIR``, ``folder:DIR``, or a user's own
            ``package.module:function``, which takes a `Request` and returns a `Dataset`.
        resolution: Height and width of the result, pixels; None for the data set's own.
        cache_dir: Where decoded image folders are kept.
        progress: Told how many of how many images are decoded.

    Returns:
        The data set with all images uint8 (N, 3, S, S), S the resolution.

    Raises:
        InputError: An unknown name, or files that are missing, empty or damaged, by name.
    """
    if spec and spec not in DATASETS and os.path.isdir(os.path.expanduser(spec)):
        raise InputError(f"data {spec!r} is a folder: did you mean 'folder:{spec}'?")
    load, argument = named.load_object("data", spec, DATASETS)
    if not callable(load):
        raise InputError(f"data {spec!r}: expected a function, got {type(load).__name__}")
    request = Request(
        spec=spec,
        argument=argument,
        resolution=resolution,
        cache_dir=cache_dir.expanduser(),
        progress=progress,
    )
    own = spec not in DATASETS and argument is None
    dataset: Dataset = _own_errors(spec, lambda: load(request)) if own else load(request)
    _check(dataset, spec)
    side = resolution or dataset.train.images.shape[-1]
    train = _prepare(dataset.train, len(dataset.classes), side, spec)
    if len(train.labels.unique()) < 2:
        raise InputError(f"data {spec!r}: needs images of at least two classes, got one")
    counts = train.labels.bincount(minlength=len(dataset.classes)).tolist()
    if lonely := [name for name, count in zip(dataset.classes, counts, strict=True) if count == 1]:
        few = ", ".join(lonely[:5]) + (f" and {len(lonely) - 5} others" if len(lonely) > 5 else "")
        raise InputError(f"data {spec!r}: one image of {few}; a class needs two, to train on and to score on")
    read = dataset.load_test

    def load_test() -> Images:
        assert read is not None
        test = _own_errors(spec, read) if own else read()
        return _prepare(test, len(dataset.classes), side, f"{spec}, test images")

    return dataclasses.replace(dataset, train=train, load_test=load_test if read else None)


def majority_share(labels: torch.Tensor) -> float:
    """The share of the largest class: the accuracy of always guessing it.

    Args:
        labels: Class numbers (N,), at least one.
    """
    return int(labels.bincount().max()) / len(labels)


def split(labels: torch.Tensor, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Split images so that each class gives the same share: stratified, the same for a seed.

    Args:
        labels: Class numbers (N,).
        share: Share of the images in the second part, between 0 and 1.
        seed: The split is derived from it.

    Returns:
        Indices of the first and of the second part, ascending.

    Raises:
        InputError: A class has fewer than two images.
    """
    second = []
    for label in labels.unique().tolist():
        members = torch.nonzero(labels == label).flatten()
        if len(members) < 2:
            raise InputError(f"class {label} has one image; at least two are needed, to train on and to score on")
        generator = torch.Generator().manual_seed(derive_seed(seed, "split", label))
        count = min(max(1, round(len(members) * share)), len(members) - 1)
        second.append(members[torch.randperm(len(members), generator=generator)[:count]])
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    chosen[torch.cat(second)] = True
    return torch.nonzero(~chosen).flatten(), torch.nonzero(chosen).flatten()


def load_digits(request: Request) -> Dataset:
    """Scikit-learn's digits: 1,797 grey 8x8 images of ten classes, no download.

    They have no test set of their own: the last 297, from other writers than most, are put aside as one. Their own
    resolution is 16: at 8 pixels a network with five strides sees one pixel most of the way.

    Raises:
        InputError: An argument was given.
    """
    if request.argument:
        raise InputError(f"data {request.spec!r}: digits takes no argument")
    package = importlib.util.find_spec("sklearn")  # its file without itself, which every worker would load for 1.5 s
    assert package is not None
    assert package.submodule_search_locations is not None
    table = np.loadtxt(Path(package.submodule_search_locations[0], "datasets/data/digits.csv.gz"), delimiter=",")
    pixels = torch.from_numpy(np.rint(table[:, :64] * (255 / 16)).astype(np.uint8)).reshape(-1, 1, 8, 8)
    pixels = _resize(pixels, request.resolution or 16)
    labels = torch.from_numpy(table[:, 64]).long()
    return Dataset(
        name="digits",
        classes=tuple("0123456789"),
        train=Images(pixels[:1500], labels[:1500]),
        load_test=lambda: Images(pixels[1500:], labels[1500:]),
        mirror=False,
    )


def _own_errors(spec: str, function: Callable[[], T]) -> T:
    """Call a user's function; whatever it raises is one line that names it."""
    try:
        return function()
    except NasError:
        raise
    except Exception as error:  # a user's own function may raise anything
        raise InputError(one_line(f"data {spec!r}: {type(error).__name__}: {error}")) from error


def _check(dataset: object, spec: str) -> None:
    """Hold what a data set's function returned to the contract, its images apart; all problems in one line."""
    if not isinstance(dataset, Dataset):
        raise InputError(f"data {spec!r}: expected an evaluator.data.Dataset, got {type(dataset).__name__}")
    names = dataset.classes
    named = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    try:
        check_fields(
            (isinstance(dataset.name, str), "name", dataset.name, "text"),
            (
                named and len(set(names)) == len(names) >= 2,
                "classes",
                names,
                "a tuple of names of at least two classes, all different",
            ),
            (
                dataset.load_test is None or callable(dataset.load_test),
                "load_test",
                dataset.load_test,
                "a function or None",
            ),
            (isinstance(dataset.mirror, bool), "mirror", dataset.mirror, "True or False"),
        )
    except InputError as error:
        raise InputError(one_line(f"data {spec!r}: {error}")) from None
    _check_images(dataset.train, len(names), spec)


def _check_images(data: object, num_classes: int, spec: str) -> None:
    if not (
        isinstance(data, Images) and isinstance(data.images, torch.Tensor) and isinstance(data.labels, torch.Tensor)
    ):
        kinds = [type(part).__name__ for part in (data.images, data.labels)] if isinstance(data, Images) else []
        found = f"Images of {' and '.join(kinds)}" if kinds else type(data).__name__
        raise InputError(f"data {spec!r}: expected evaluator.data.dataset.Images of two tensors, got {found}")
    images, labels = data.images, data.labels
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        shape = tuple(images.shape)
        raise InputError(f"data {spec!r}: images must be uint8 (N, 1 or 3, H, W), got {images.dtype} {shape}")
    if len(images) != len(labels) or not images.numel():
        raise InputError(f"data {spec!r}: {len(images)} images and {len(labels)} labels; as many, and some, are needed")
    if labels.dim() != 1 or labels.is_floating_point() or labels.dtype == torch.bool:
        hint = "; of one-hot rows, labels.argmax(1)" if labels.dim() == 2 else ""
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise InputError(f"data {spec!r}: labels must be class numbers, int64 (N,), got {found}{hint}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise InputError(f"data {spec!r}: labels must be 0 to {num_classes - 1}, got {low} to {high}")


def _prepare(data: Images, num_classes: int, resolution: int, spec: str) -> Images:
    """Checked images in three channels at the resolution wanted."""
    _check_images(data, num_classes, spec)
    images, labels = data.images, data.labels
    if images.shape[2:] != (resolution, resolution):
        images = torch.cat([_resize(part, resolution) for part in images.split(_RESIZE_CHUNK)])
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1).contiguous()
    return Images(images, labels.long())


def _resize(images: torch.Tensor, resolution: int) -> torch.Tensor:
    resized = functional.interpolate(
        images.float(), size=(resolution, resolution), mode="bilinear", antialias=True, align_corners=False
    )
    return resized.round_().clamp_(0, 255).to(torch.uint8)
