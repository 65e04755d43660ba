"""A trained network that others begin with: its weights from a file, moved to each by `search_space.inherit`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluator.data.statistics import Statistics
from evaluator.data.trained_on import Origin
from evaluator.weights import load_weights
from search_space.architecture import Architecture
from search_space.builder import Network, build_model
from search_space.inherit import Inheritance, check_movable, inherit
from search_space.layers import start_small

BACKBONE_RATE = 0.3
"""Learning rate of what is inherited, as a share of the new classifier's; chosen by benchmarks/fine_tuning.py."""
RETAKEN = 8
"""Batches of training images on which BatchNorm's statistics are taken anew: a slice's own no longer hold, and a short
training is over before its averages follow."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """What whoever trains a network must know of weights that it has from another."""

    statistics: Statistics | None = None
    """Of the pixels that they are used to; None for the data's."""
    backbone_rate: float = 1.0
    """Learning rate of all but the classifier, as a share of the classifier's."""
    retaken: int = 0
    """Batches of training images on which BatchNorm's statistics are first taken anew."""


class Parent:
    """A trained network, in memory once for all that inherit from it.

    Attributes:
        architecture: Its own, with as many classes as its weights tell apart.
        origin: Where the weights come from.
    """

    def __init__(self, weights: str, network: str, classes: int, eps: float | None = None) -> None:
        """Read the weights.

        Args:
            weights: Their file, as `evaluator.weights.load_weights` takes it.
            network: What they are of: an architecture's YAML file or name.
            classes: Of those who will inherit; a classifier of another number is left out.
            eps: BatchNorm's eps that the weights were made with; None for their source's usual.

        Raises:
            InputError: The weights cannot be read, are another network's, or cannot be moved to others.
        """
        architecture = dataclasses.replace(Architecture.load(network), classes=classes)
        check_movable(architecture)
        self._network = build_model(architecture)
        self.origin = load_weights(self._network, architecture, Path(weights), eps, any_classes=True)
        self.architecture = dataclasses.replace(architecture, classes=self.origin.classes)

    def give(self, network: Network, architecture: Architecture) -> Inheritance:
        """See `search_space.inherit.inherit`."""
        return inherit(network, architecture, self._network, self.architecture)

    def begin(self, network: Network, architecture: Architecture) -> Inherited:
        """Give a random network all that it can take; what is new in it starts small (`start_small`)."""
        start_small(network)
        self.give(network, architecture)
        return Inherited(statistics_of(self.origin), BACKBONE_RATE, RETAKEN)

    def describe(self) -> dict[str, str | int]:
        """Which weights they are, for a run's record."""
        return {"classes": self.origin.classes, "digest": self._digest()}

    def _digest(self) -> str:
        """Of the weights but the classifier: the same for every copy of the file."""
        found = hashlib.sha256()
        for name, tensor in self._network.state_dict().items():
            if not name.startswith("classifier"):  # where its classes are others, it is not the file's
                found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]


@torch.no_grad()
def retake_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take BatchNorm's running statistics anew, as means over batches; nothing else is in training mode.

    Args:
        network: Changed in place.
        batches: Of normalised images (N, C, H, W), at least one.
    """
    norms = [module for module in network.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None  # the mean of all batches
    for batch in batches:
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def statistics_of(origin: Origin) -> Statistics | None:
    """The pixels that weights are used to; None where their file does not say."""
    if origin.pixels is None:
        return None
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in origin.pixels)
    return mean, std
