"""The size that a search's networks are for: what the user says, else what the images are, else the space's own.

Costs, budget, networks, training and export all mean this size. The space is fitted to it and to the budget
(`search_space.fitting`), and so are the networks that a search is set beside (`nas.runs.references`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nas import config
from nas.config import SearchConfig
from search_space.architecture import Architecture
from search_space.decision import Space
from search_space.errors import InputError
from search_space.fitting import Deployment, fit
from search_space.io import schema
from search_space.io.amounts import format_amount
from search_space.space import SearchSpace, find_space

AROUND = "checkpoint"
"""The space that lies around the network whose weights a search's networks inherit."""
DEMONSTRATION = "digits"
"""Data that stand for any, unless the user names them: the networks are for the papers' 224 pixels and 1000 classes."""
FOLDER = 224
"""Deployment resolution for a folder of photos, whose sides say nothing."""


def deployed(settings: SearchConfig, layers: Sequence[Mapping[str, Any]], *, full: bool = False) -> SearchConfig:
    """The settings of a new search with its size written out, and its evaluator told of it.

    Args:
        settings: The resolved config.
        layers: What it was resolved from: whether the user named the data.
        full: Whether networks are to be trained as they are deployed whatever they cost.

    Raises:
        InputError: A size that the data, the space or the evaluator does not allow.
    """
    said = [f"--{name} {value}" for name in ("resolution", "classes") if (value := getattr(settings, name)) is not None]
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    space = _as_written(settings)
    if cls.fixed_networks or not isinstance(space, SearchSpace):
        whose = f"evaluator {settings.evaluator.name}" if cls.fixed_networks else f"space {settings.space}"
        if said:
            raise InputError(f"{said[0]}: the networks of the {whose} have a size of their own")
        return settings
    resolution, classes = space.reference.resolution, space.reference.classes
    images = cls.images(evaluator_config)
    data = images.get("data")
    named = data is not None and (data != DEMONSTRATION or _names_data(layers))
    if named:
        resolution, classes = _size_of(data, images.get("resolution"))
        if settings.classes not in (None, classes):
            raise InputError(f"--classes {settings.classes}: the images of {data!r} show {classes} classes")
    decided = settings.resolution is None and "resolution" in space.network
    settings = dataclasses.replace(
        settings,
        resolution=None if decided else settings.resolution or resolution,
        classes=settings.classes or classes,
    )
    if named and settings.resolution is not None:
        own = cls.deployed_as(evaluator_config, settings.resolution, 1 if full else settings.target_flops)
        if checkpoint_of(settings):  # which is also compared on smaller images than the search's
            own = cls.scaled_from(own, settings.resolution)
        evaluator = dataclasses.replace(settings.evaluator, settings=schema.to_plain(own))
        settings = dataclasses.replace(settings, evaluator=evaluator)
    return settings


def space_of(settings: SearchConfig) -> Space:
    """The search's space, at its size and budget; as it is written in a run that does not say its size.

    Raises:
        InputError: No such space, or a size or a target that it does not allow.
    """
    space = _as_written(settings)
    if not isinstance(space, SearchSpace) or settings.classes is None:
        return space
    size = Deployment(resolution=settings.resolution, classes=settings.classes, target_macs=settings.target_flops)
    return fit(space, size)


def _as_written(settings: SearchConfig) -> Space:
    """The space of the settings' name, whatever it is searched at."""
    space, checkpoint = find_space(settings.space), checkpoint_of(settings)
    if settings.space != AROUND or checkpoint is None or not isinstance(space, SearchSpace):
        return space
    return SearchSpace.around(Architecture.load(checkpoint[1]), space.document)


def checkpoint_of(settings: SearchConfig) -> tuple[str, str] | None:
    """The weights file that a search's networks inherit from, and the network that it is of; None where they do not."""
    weights, network = (settings.evaluator.settings.get(name) for name in ("inherit", "parent"))
    return (weights, network) if isinstance(weights, str) and isinstance(network, str) else None


def describe(settings: SearchConfig) -> str:
    """One line: what networks are for, and what is trained in their place; empty where a run does not say it."""
    if settings.classes is None:
        return ""
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    side = f"{settings.resolution} x {settings.resolution} pixels" if settings.resolution else "several resolutions"
    target = format_amount(settings.target_flops)
    trained = cls.trained_as(evaluator_config, settings.resolution)
    said = f"Networks for {side} and {settings.classes} classes, {target} multiply-adds"
    return f"{said}; {trained}" if trained else said


def _names_data(layers: Sequence[Mapping[str, Any]]) -> bool:
    evaluators = (layer.get("evaluator") for layer in layers)
    return any(isinstance(said, Mapping) and said.get("data") is not None for said in evaluators)


def _size_of(data: str, resolution: int | None) -> tuple[int, int]:
    """Deployment resolution and number of classes of a data set.

    Args:
        data: Its name, as `load_dataset` takes it.
        resolution: Where the evaluator will read it: images of a folder are decoded once a resolution.

    Raises:
        InputError: It cannot be read.
    """
    from evaluator.data.dataset import load_dataset  # loads torch

    folder = data.startswith("folder:")
    dataset = load_dataset(data, resolution if folder else None)
    return FOLDER if folder else dataset.train.images.shape[-1], len(dataset.classes)


def load_space(settings: SearchConfig) -> Space:
    """The search's space; one of ours must have networks of the target.

    Raises:
        InputError: No such space, or the target is outside its range.
    """
    space = space_of(settings)
    if isinstance(space, SearchSpace):
        space.check_target(settings.target_flops)
    return space
