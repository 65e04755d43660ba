"""What shared weights say of a network: its loss on a few held-out training images.

The loss ranks far better than the accuracy does, and BatchNorm uses the statistics of these very images: averages of
other networks would not be its own. Networks that begin with the same layers compute these once.
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
"""Images that are held out to score on: half as many rank networks worse, twice as many hardly better
(docs/sharing.md)."""


def hold_out(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the images to train on, and of those to score on: `SCORED`, or a quarter where there are few."""
    return split(labels.cpu(), min(0.25, SCORED / len(labels)), seed)


class SharedScorer:
    """Scores networks with one set of shared weights.

    Attributes:
        chance: Loss of guessing, nats.
    """

    def __init__(self, shared: SharedNetwork, weights: Tensor, data: Images, scored: Tensor) -> None:
        """Prepare the images.

        Args:
            shared: Whose weights they are.
            weights: (size,), on the device to score on.
            data: All training images, for their mean and deviation.
            scored: Indices of the images to score on.
        """
        self._paths = Paths(shared, weights)
        self.chance = math.log(shared.classes)
        batch = data[scored.to(data.labels.device)]
        statistics = tuple(part.to(weights.device) for part in channel_statistics(data.images))
        self._images = normalise(batch.images.to(weights.device), statistics)
        self._labels = batch.labels.to(weights.device)
        self._done: list[tuple[nn.Module, Tensor]] = []

    def losses(self, architectures: Sequence[Architecture]) -> list[float]:
        """Mean cross-entropy of each network, nats; finite, at most `EXPLOSION` times that of guessing.

        Raises:
            InputError: The space does not contain one of them.
        """
        chains = [list(self._paths.network(architecture)) for architecture in architectures]
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
        loss = float(functional.cross_entropy(logits, self._labels))
        most = EXPLOSION * self.chance
        return min(loss, most) if math.isfinite(loss) else most
