"""Training one network in full: the recipe's augmentation, averaged weights, several devices, exact continuation.

Everything random in an epoch is derived from (seed, epoch, process), so an epoch that is run again from the state
before it gives the same weights on the same device.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from evaluator.base import Score
from evaluator.data.augmentation import augment, mixup, rand_augment, random_resized_crop
from evaluator.data.dataset import Images
from evaluator.data.statistics import Statistics, channel_statistics
from evaluator.full_recipe import FullRecipe, RMSProp
from evaluator.training import EXPLOSION, Trainer, rated_groups
from search_space.architecture import Architecture
from search_space.builder import Network, build_model
from search_space.errors import NasError
from search_space.layers import start_small
from search_space.seeding import derive_seed

STEPS_PER_REPORT = 10


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes that train one network together, one a device."""

    rank: int = 0
    size: int = 1


SINGLE_PROCESS = ProcessGroup()


class FullTrainer(Trainer):
    """The training step of a recipe: micro-batches, mixup, stochastic depth, averaged weights.

    Attributes:
        model: The network that is trained.
        batchnorm_momentum: Of the running averages.
        averaged: The moving average of its weights, which is scored; the network itself where the recipe has none.
    """

    def __init__(
        self,
        architecture: Architecture,
        data: Images,
        recipe: FullRecipe,
        *,
        mirror: bool,
        seed: int,
        group: ProcessGroup = SINGLE_PROCESS,
        prepare: Callable[[Network], Statistics | None] | None = None,
    ) -> None:
        """Build the network on the device of the batches, the same in every process.

        Args:
            architecture: With the data's number of classes.
            data: All training images, for their mean and deviation.
            recipe: How to train.
            mirror: Whether images may be flipped left to right.
            seed: Weights, order, augmentation and dropout are derived from it.
            group: Which of how many processes this is; `torch.distributed` is initialised where they are several.
            prepare: Called with the network before training, e.g. to load weights; it may return the mean and the
                deviation (1, C, 1, 1) of the pixels that they are used to, in place of the data's.
        """
        generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        network = build_model(architecture, drop_path=recipe.drop_path, generator=generator)
        if recipe.small_start:
            start_small(network)
        statistics = prepare(network) if prepare else None
        statistics = statistics or channel_statistics(data.images)
        super().__init__(network.to(data.device), statistics, recipe, mirror, recipe.backbone_rate)
        self.recipe = recipe
        self.batchnorm_momentum = network.bn1.momentum or 0.0
        self.classes = architecture.classes
        self.seed = seed
        self.group = group
        self.averaged: nn.Module = copy.deepcopy(self.model) if recipe.ema else self.model
        self.steps = 0
        if recipe.optimizer == "rmsprop":
            groups = rated_groups(network, recipe.weight_decay, recipe.backbone_rate)
            self.optimizer = RMSProp(groups, recipe.learning_rate)
        # One process needs no wrapper; several average their gradients as each micro-batch's backward ends.
        self._parallel: nn.Module = DistributedDataParallel(self.model) if group.size > 1 else self.model

    def epoch(self, data: Images, index: torch.Tensor, number: int) -> Iterator[tuple[int, int, float]]:
        """Train on the images at `index` once.

        Yields:
            Now and then: images done, images of the epoch, mean loss since the last time.

        Raises:
            NasError: The loss is NaN or has exploded.
        """
        device = self.device
        order = torch.Generator(device).manual_seed(derive_seed(self.seed, "order", number))
        vary = torch.Generator(device).manual_seed(derive_seed(self.seed, "augment", number, self.group.rank))
        shuffled = index[torch.randperm(len(index), generator=order, device=device).to(index.device)]
        batch_size = min(self.recipe.batch_size, len(index))
        steps = len(index) // batch_size
        losses: list[torch.Tensor] = []
        with _own_noise(device, derive_seed(self.seed, "noise", number, self.group.rank)):
            self._train_mode()
            for step in range(steps):
                self.set_learning_rate(self.recipe.learning_rate_at(number * steps + step, steps))
                part = shuffled[step * batch_size : (step + 1) * batch_size][self.group.rank :: self.group.size]
                losses.append(self.step(data[part], vary))
                if len(losses) == STEPS_PER_REPORT or step == steps - 1:
                    loss = float(torch.stack(losses).mean())
                    losses.clear()
                    if not loss <= EXPLOSION * math.log(self.classes):
                        raise NasError(f"diverged: loss {loss:.3g} in epoch {number + 1}; try a lower --learning-rate")
                    yield (step + 1) * batch_size, steps * batch_size, loss

    def step(self, batch: Images, generator: torch.Generator) -> torch.Tensor:
        """One update on a batch, in micro-batches; the mean loss, on the device."""
        images, targets = self.varied(batch, generator)
        self.optimizer.zero_grad(set_to_none=True)
        count = max(1, min(self.recipe.accumulate, len(images) // 2))  # BatchNorm needs two images a part
        parts = list(zip(images.tensor_split(count), targets.tensor_split(count), strict=True))
        loss = torch.zeros((), device=self.device)
        for number, (some, wanted) in enumerate(parts, 1):
            with self._together(number == len(parts)):
                loss += self.backward(self._parallel, some, wanted, len(some) / len(images))
        self.optimizer.step()
        self.steps += 1
        self._average()
        return loss

    def varied(self, batch: Images, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Moved or cropped, flipped and, where the recipe says so, distorted and blended images, with their targets."""
        labels = batch.labels
        if self.recipe.crop == "resized":
            images = random_resized_crop(batch.images.float(), generator, self.mirror)
        else:
            images = augment(batch.images, generator, self.mirror)
        if self.recipe.rand_augment:
            images = rand_augment(images.float(), generator, self.recipe.rand_augment, self.recipe.magnitude)
        if self.recipe.mixup:
            return mixup(images.float(), labels, self.classes, self.recipe.mixup, generator)
        return images, labels

    def score_averaged(self, data: Images, index: torch.Tensor) -> Score:
        """The score of the averaged weights, in evaluation mode."""
        trained, self.model = self.model, self.averaged
        try:
            return self.score(data, index)
        finally:
            self.model = trained

    def state(self) -> dict[str, Any]:
        """All that a continuation needs, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]

    def _train_mode(self) -> None:
        """Training mode; of a frozen backbone only the dropout before the classifier."""
        self.model.train()
        if self.recipe.backbone_rate == 0:
            self.model.eval()
            self.model.get_submodule("dropout").train()

    def _together(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged between processes only with the last micro-batch."""
        if isinstance(self._parallel, DistributedDataParallel) and not last:
            return self._parallel.no_sync()
        return nullcontext()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average towards the weights and BatchNorm statistics; early on faster (as TensorFlow does)."""
        if not self.recipe.ema:
            return
        decay = min(self.recipe.ema, (1 + self.steps) / (10 + self.steps))
        for average, now in zip(self.averaged.state_dict().values(), self.model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(now, 1 - decay)
            else:
                average.copy_(now)


@contextmanager
def _own_noise(device: torch.device, seed: int) -> Iterator[None]:
    """Dropout and stochastic depth draw from torch's global generators: seed them, and put them back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
