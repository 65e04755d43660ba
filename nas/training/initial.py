"""What a training begins with: the weights of a file, of this network or of another that it takes after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from evaluator.full_training import Statistics
from evaluator.weights import Origin, load_weights
from nas.training.folder import TrainConfig
from search_space.architecture import Architecture
from search_space.builder import Network, build_model
from search_space.inherit import Inheritance, inherit


def initial_weights(config: TrainConfig, architecture: Architecture) -> Callable[[Network], Statistics | None] | None:
    """What gives a network its initial weights, and returns the pixels that they are used to; None for random ones.

    Raises:
        InputError: When it is called: the weights cannot be read, or do not fit.
    """
    if config.init is None:
        return None

    def prepare(network: Network) -> Statistics | None:
        pixels = _give(network, architecture, config)[0].pixels
        if pixels is None:
            return None
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in pixels)
        return mean, std

    return prepare


def initial_notes(config: TrainConfig, networks: Sequence[Architecture]) -> list[str]:
    """What networks inherit from the file of initial weights and what is new in them, one line each.

    Raises:
        InputError: The weights cannot be read, or do not fit.
    """
    return [] if config.init is None else [_note(config, architecture) for architecture in networks]


def _note(config: TrainConfig, architecture: Architecture) -> str:
    network = build_model(architecture)
    origin, inheritance = _give(network, architecture, config)
    total = sum(parameter.numel() for parameter in network.parameters())
    new = sum(parameter.numel() for parameter in network.classifier.parameters())
    line = f"--init {config.init}: {inheritance or f'all {total:,} weights inherited'}"
    if origin.classes != architecture.classes:
        what = f"a new classifier, of {architecture.classes} classes where it has {origin.classes}"
        line = f"--init {config.init}: {what}: {new:,} of {total:,} weights; {inheritance or 'the others inherited'}"
    whose = "the data's, as the file does not say its own" if origin.pixels is None else "its own"
    return f"{line}; mean and deviation of the pixels are {whose}"


def _give(network: Network, architecture: Architecture, config: TrainConfig) -> tuple[Origin, Inheritance | None]:
    """Give a network the weights of the file; where they come from, and how much of another network's it took."""
    assert config.init is not None
    path = Path(config.init)
    if config.parent is None:
        return load_weights(network, architecture, path, config.bn_eps, any_classes=True), None
    theirs = dataclasses.replace(Architecture.load(config.parent), classes=architecture.classes)
    parent = build_model(theirs)
    origin = load_weights(parent, theirs, path, config.bn_eps, any_classes=True)
    return origin, inherit(network, architecture, parent, dataclasses.replace(theirs, classes=origin.classes))
