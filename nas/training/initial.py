"""What a training begins with: the weights of a file, of this network or of another that it takes after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from evaluator.data.statistics import Statistics
from evaluator.data.trained_on import Origin
from evaluator.shared.parent import Parent, statistics_of
from evaluator.weights import load_weights
from nas.training.folder import TrainConfig
from search_space.architecture import Architecture
from search_space.builder import Network, build_model
from search_space.errors import InputError
from search_space.inherit import Inheritance

NETWORK, WEIGHTS = "network.yaml", "network.safetensors"
"""What `nas-train` leaves in its folder."""


def locate(checkpoint: str, network: str | None) -> tuple[str, str]:
    """The weights file of a checkpoint and the network that it is of, read once: what is wrong is said before any work.

    Args:
        checkpoint: A weights file, or a folder as `nas-train` leaves it.
        network: A YAML file or an installed network's name; None for the one in the weights' own folder.

    Raises:
        InputError: It is not said which network the weights are of, or they cannot be read, moved or do not fit.
    """
    path = Path(checkpoint)
    if path.is_dir():
        path = path / WEIGHTS
    if network is None and path.name == WEIGHTS and (path.parent / NETWORK).exists():
        network = str(path.parent / NETWORK)
    if network is None:
        raise InputError(f"{path}: which network are these weights of? --parent efficientnet-b0, or its YAML file")
    Parent(str(path), network, classes=2)
    return str(path), network


def initial_weights(config: TrainConfig, architecture: Architecture) -> Callable[[Network], Statistics | None] | None:
    """What gives a network its initial weights, and returns the pixels that they are used to; None for random ones.

    Raises:
        InputError: When it is called: the weights cannot be read, or do not fit.
    """
    if config.init is None:
        return None

    def prepare(network: Network) -> Statistics | None:
        return statistics_of(_give(network, architecture, config)[0])

    return prepare


def initial_notes(config: TrainConfig, networks: Sequence[Architecture], class_names: tuple[str, ...]) -> list[str]:
    """What networks inherit from the file of initial weights and what is new in them, one line each.

    A warning follows where the weights may have seen the images that are held out: they tell `class_names` apart.

    Raises:
        InputError: The weights cannot be read, or do not fit.
    """
    if config.init is None:
        return []
    found = [_note(config, architecture) for architecture in networks]
    cautions = {origin.caution(class_names) for _, origin in found}
    return [*(line for line, _ in found), *sorted(filter(None, cautions))]


def _note(config: TrainConfig, architecture: Architecture) -> tuple[str, Origin]:
    network = build_model(architecture)
    origin, inheritance = _give(network, architecture, config)
    total = sum(parameter.numel() for parameter in network.parameters())
    new = sum(parameter.numel() for parameter in network.classifier.parameters())
    line = f"--init {config.init}: {inheritance or f'all {total:,} weights inherited'}"
    if origin.classes != architecture.classes:
        what = f"a new classifier, of {architecture.classes} classes where it has {origin.classes}"
        line = f"--init {config.init}: {what}: {new:,} of {total:,} weights; {inheritance or 'the others inherited'}"
    whose = "the data's, as the file does not say its own" if origin.pixels is None else "its own"
    return f"{line}; mean and deviation of the pixels are {whose}", origin


def _give(network: Network, architecture: Architecture, config: TrainConfig) -> tuple[Origin, Inheritance | None]:
    """Give a network the weights of the file; where they come from, and how much of another network's it took."""
    assert config.init is not None
    if config.parent is None:
        return load_weights(network, architecture, Path(config.init), config.bn_eps, any_classes=True), None
    parent = Parent(config.init, config.parent, architecture.classes, config.bn_eps)
    return parent.origin, parent.give(network, architecture)
