"""What shared weights say of a network: its loss on a few held-out training images.

The loss ranks far better than the accuracy does, and BatchNorm uses the statistics of these very images: averages of
other networks would not be its own. Networks that begin with the same layers compute these once. Where there are
several sets of weights each is asked about its own part of the images, and the mean counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.data.dataset import Images, split
from evaluator.data.statistics import channel_statistics
from evaluator.shared.network import Paths, SharedNetwork
from evaluator.shared.training import normalise
from evaluator.training import EXPLOSION
from search_space.architecture import Architecture

SCORED = 1024
"""Images that are held out to score on: half as many rank networks worse, twice as many hardly better."""


def hold_out(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the images to train on, and of those to score on: `SCORED`, or a quarter where there are few."""
    return split(labels.cpu(), min(0.25, SCORED / len(labels)), seed)


class SharedScorer:
    """Scores networks with sets of shared weights.

    Attributes:
        sets: How many there are.
        chance: Loss of guessing, nats.
    """

    def __init__(self, shared: SharedNetwork, weights: Tensor, data: Images, scored: Tensor) -> None:
        """Prepare the images.

        Args:
            shared: Whose weights they are.
            weights: (N, size) of N sets, on the device to score on.
            data: All training images, for their mean and deviation.
            scored: Indices of the images to score on.
        """
        self.sets = len(weights)
        self.chance = math.log(shared.classes)
        statistics = tuple(part.to(weights.device) for part in channel_statistics(data.images))
        count = max(1, min(len(weights), len(scored) // 2))  # BatchNorm needs two images
        parts = (data[scored[i % count :: count].to(data.labels.device)] for i in range(len(weights)))
        self._sets = [
            _Set(
                Paths(shared, own),
                normalise(part.images.to(weights.device), statistics),
                part.labels.to(weights.device),
            )
            for own, part in zip(weights, parts, strict=True)
        ]

    def losses(self, architectures: Sequence[Architecture]) -> list[float]:
        """Mean cross-entropy of each network, nats; finite, at most `EXPLOSION` times that of guessing.

        Raises:
            InputError: The space does not contain one of them.
        """
        most = EXPLOSION * self.chance
        found = [one.losses(architectures) for one in self._sets]
        capped = [[min(loss, most) if math.isfinite(loss) else most for loss in losses] for losses in found]
        return [sum(losses) / len(losses) for losses in zip(*capped, strict=True)]


class _Set:
    """One set of weights, and the images that it is asked about."""

    def __init__(self, paths: Paths, images: Tensor, labels: Tensor) -> None:
        self.paths = paths
        self._images = images
        self._labels = labels
        self._done: list[tuple[nn.Module, Tensor]] = []

    def losses(self, architectures: Sequence[Architecture]) -> list[float]:
        """Of each network."""
        chains = [list(self.paths.network(architecture)) for architecture in architectures]
        found = [0.0] * len(chains)
        for index in sorted(range(len(chains)), key=lambda i: [id(part) for part in chains[i]]):
            found[index] = self._loss(chains[index])
        return found

    @torch.inference_mode()
    def _loss(self, chain: list[nn.Module]) -> float:
        """Of one network; what it begins with is taken over from the last one where that is the same."""
        same = 0
        while same < min(len(chain) - 1, len(self._done)) and chain[same] is self._done[same][0]:
            same += 1
        del self._done[same:]
        x = self._done[-1][1] if self._done else self._images
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=x.device.type == "cuda"):
            for part in chain[same:-1]:
                x = part(x)
                self._done.append((part, x))
            logits = chain[-1](x).float()
        return float(functional.cross_entropy(logits, self._labels))
