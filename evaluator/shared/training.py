"""One training for all networks of a space: at each step one of them, drawn anew, learns from one batch.

Single path one-shot training (arXiv:1904.00420, section 3.2): a step trains the weights of one network, every distinct
network inside the band of MACs is as likely as any other, and weights that are not its own stay as they are, momentum
included. The learning rate rises and then stays; what is scored are averages of the weights.

What one set of shared weights says of a choice is luck to a good part, and what it says after long is no better: layers
grow used to the mean of the others. So as soon as a set has learned what ranks networks another is begun from new first
weights, and a network's loss is the mean over sets (docs/sharing-tried.md).

Everything random in a step is derived from (seed, purpose, step): a training that was killed goes on from its last
checkpoint to the same weights, to the bit on one device with one number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.data.augmentation import augment
from evaluator.data.dataset import Images
from evaluator.data.statistics import channel_statistics
from evaluator.shared import storage
from evaluator.shared.network import Paths, SharedNetwork
from evaluator.shared.storage import VECTORS
from evaluator.training import EXPLOSION, parameter_groups
from search_space.errors import InputError, NasError
from search_space.seeding import derive_seed
from search_space.uniform import UniformNetworks

BATCH_SIZE = 64
LEARNING_RATE = 0.2
WARM_UP = 200  # steps in which the learning rate rises
MOMENTUM = 0.9
WEIGHT_DECAY = 3e-4
CLIP = 5.0  # largest norm of a gradient
AVERAGING = 0.998  # decay of the averages, a step
STEPS_PER_AVERAGE = 8
MOST_RESTARTS = 5
STEPS_PER_CHOICE = 468
"""Steps of a set for each layer that a place is chosen among: 30,000 images train each. After half of that, sets of the
wider space of docs/sharing-tried.md rank worse on CIFAR-10; after twice that no better, and half as many fit into the
time."""
LEARNED = 0.95
"""Share of the loss of guessing above which weights have learned nothing, and a set goes on."""
RECENT = 0.99
"""Decay of the mean of the loss that says so, a step."""
MOST_SETS = 8
SECONDS_PER_REPORT = 10.0
SECONDS_PER_CHECKPOINT = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    steps: int
    seconds: float
    """Worked, over all processes."""
    images_per_sec: float
    loss: float
    """Mean of the training loss since the last time."""


class SharedTraining:
    """A training and its state.

    Attributes:
        averages: (size,) averaged weights of the set that is being trained.
        finished: The same of each that is complete.
        steps: Done so far, over all sets.
        seconds: Worked so far.
        before: Of these, worked by earlier processes.
        set_steps: After how many steps a set that has learned is complete.
    """

    def __init__(
        self, shared: SharedNetwork, data: Images, train: Tensor, *, mirror: bool, seed: int, macs: tuple[int, int]
    ) -> None:
        """Start from nothing.

        Args:
            shared: Whose weights to train.
            data: uint8 images and labels; batches are trained on where they are.
            train: Indices of the images to train on, where the labels are.
            mirror: Whether images may be flipped left to right.
            seed: Of all that is random.
            macs: Lowest and highest MACs of the networks that are trained, as they are deployed.
        """
        self.shared = shared
        self.device = data.device
        self.seed = seed
        self.mirror = mirror
        self.steps, self.seconds, self.before = 0, 0.0, 0.0
        self.set_steps = STEPS_PER_CHOICE * shared.alternatives
        self.finished: list[Tensor] = []
        self.weights = torch.empty(shared.size, device=self.device)
        self.averages, self.velocity = torch.empty_like(self.weights), torch.empty_like(self.weights)
        self._rate, self._restarts = LEARNING_RATE, 0
        self._begin()
        self._data, self._train = data, train
        self._statistics = tuple(part.to(self.device) for part in channel_statistics(data.images))
        self._networks = UniformNetworks(shared.space, macs)
        self._paths = Paths(shared, self.weights)
        self._order: tuple[int, Tensor] = (-1, train)

    def _begin(self) -> None:
        """Begin a set of weights."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "weights", len(self.finished)))
        self.weights.copy_(self.shared.initial(generator))
        self.averages.copy_(self.weights)
        self.velocity.zero_()
        self._begun, self._recent = self.steps, math.log(self.shared.classes)

    @property
    def trained(self) -> Tensor:
        """(N, size) averaged weights of the sets that are complete, or of the first one before it is."""
        return torch.stack(self.finished or [self.averages])

    def run(
        self,
        path: Path,
        *,
        seconds: float = math.inf,
        steps: float = math.inf,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Train until so many seconds or steps are done in all, whichever comes first; the state is kept at `path`.

        It ends before that where no other set would be complete in time, and after `MOST_SETS`.

        Raises:
            NasError: It diverges, at ever lower learning rates.
        """
        begun = time.monotonic() - self.seconds
        told = saved = time.monotonic()
        losses: list[float] = []
        while not self._ends(seconds, steps):
            losses.append(self.step())
            learned = self._recent <= LEARNED * math.log(self.shared.classes)
            if learned and self.steps - self._begun >= self.set_steps:
                self.finished.append(self.averages.clone())
                self._begin()
            now = time.monotonic()
            self.seconds = now - begun
            if now - told >= SECONDS_PER_REPORT:
                speed = len(losses) * self.batch_size / (now - told)
                report(Progress(self.steps, self.seconds, speed, sum(losses) / len(losses)))
                losses.clear()
                told = now
            if now - saved >= SECONDS_PER_CHECKPOINT:
                self.save(path)
                saved = now
        self.save(path)

    def _ends(self, seconds: float, steps: float) -> bool:
        """Whether the time is over, or between two sets: whether another would not be complete in time."""
        sets = len(self.finished)
        if sets == 0 or self.steps > self._begun:
            return self.steps >= steps or self.seconds >= seconds
        in_time = self.steps + self.set_steps <= steps and self.seconds * (sets + 1) / sets <= seconds
        return sets == MOST_SETS or not in_time

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return min(BATCH_SIZE, len(self._train))

    def step(self) -> float:
        """Train one network on one batch.

        Returns:
            Its loss, nats.

        Raises:
            NasError: It diverges, at ever lower learning rates.
        """
        architecture = self._networks.draw(np.random.default_rng(derive_seed(self.seed, "network", self.steps)))
        network = self._paths.network(architecture)
        loss = self._loss(network, self._batch())
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), CLIP))
        found = loss.item()
        if math.isfinite(norm) and found <= EXPLOSION * math.log(self.shared.classes):
            self._update(network)
            self._recent = RECENT * self._recent + (1 - RECENT) * found
        else:
            self._restart(found)
        for parameter in network.parameters():
            parameter.grad = None
        self.steps += 1
        done = self.steps - self._begun
        if done % STEPS_PER_AVERAGE == 0:
            decay = min(AVERAGING, (1 + done) / (10 + done)) ** STEPS_PER_AVERAGE
            self.averages.lerp_(self.weights, 1 - decay)
        return found

    def _batch(self) -> Images:
        """The images of the next step: each epoch in an order of its own."""
        epoch, index = divmod(self.steps, len(self._train) // self.batch_size)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
            self._order = epoch, self._train[torch.randperm(len(self._train), generator=generator)]
        return self._data[self._order[1][index * self.batch_size : (index + 1) * self.batch_size]]

    def _loss(self, network: nn.Module, batch: Images) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(derive_seed(self.seed, "augment", self.steps))
        images = normalise(augment(batch.images, generator, self.mirror), self._statistics)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = network(images)
        return functional.cross_entropy(logits.float(), batch.labels)

    def _update(self, network: nn.Module) -> None:
        """Nesterov's momentum on the weights of one network, whose velocities are views as they are."""
        rate = self._rate * min((self.steps - self._begun + 1) / WARM_UP, 1.0)
        optimizer = torch.optim.SGD(parameter_groups(network, WEIGHT_DECAY), rate, MOMENTUM, nesterov=True)
        for weight in network.parameters():
            velocity = self.velocity.as_strided(weight.shape, weight.stride(), weight.storage_offset())
            optimizer.state[weight]["momentum_buffer"] = velocity
        optimizer.step()

    def _restart(self, loss: float) -> None:
        """Go back to the averages, and on at half the learning rate."""
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise NasError(
                f"the shared training diverged: loss {loss:.3g} at step {self.steps + 1}, learning rate {self._rate:g}"
            )
        self._rate /= 2
        self.weights.copy_(self.averages)
        self.velocity.zero_()

    def save(self, path: Path) -> None:
        """Keep the state; the file is whole or not there."""
        counts = {"steps": self.steps, "seconds": self.seconds, "rate": self._rate, "restarts": self._restarts}
        counts |= {"begun": self._begun, "recent": self._recent}
        vectors = {name: getattr(self, name) for name in VECTORS}
        storage.save(path, self.shared, counts, vectors, self.finished)

    def load(self, path: Path) -> None:
        """Go on from what `save` kept.

        Raises:
            InputError: The file is damaged, or of other networks.
        """
        shared, counts, vectors, self.finished = storage.load(path)
        if shared.key != self.shared.key:
            raise InputError(f"{path}: shared weights of another space, size or data set than this search's")
        for name in VECTORS:
            getattr(self, name).copy_(vectors[name])
        self.steps, self.seconds = int(counts["steps"]), counts["seconds"]
        self.before = self.seconds
        self._rate, self._restarts = counts["rate"], int(counts["restarts"])
        self._begun, self._recent = int(counts["begun"]), counts["recent"]


def normalise(images: Tensor, statistics: tuple[Tensor, ...]) -> Tensor:
    """Images (B, C, H, W), 0 to 255, to mean 0 and deviation 1 of each channel, channels last in memory."""
    mean, std = statistics
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
