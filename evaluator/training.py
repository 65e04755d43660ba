"""Training a small classifier in little time, on tensors: no image object, no worker, no copy per image.

What makes short trainings from scratch learn: a classifier that starts near zero, residual blocks that start as the
identity (the last BatchNorm's scale is zero; arXiv:1706.02677, section 5.1), AdamW with a learning rate that rises
and falls once (arXiv:1708.07120), channels_last memory, and BatchNorm statistics that follow within tens of steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from evaluator.base import Evaluation, Score, Status
from evaluator.continuation import Continuation
from evaluator.data.augmentation import augment
from evaluator.data.dataset import Images
from evaluator.data.placement import batches
from evaluator.data.statistics import Statistics, channel_statistics
from evaluator.device.allocator import keep_freed_memory
from evaluator.device.captured import make_step
from evaluator.recipe import Recipe, one_cycle
from evaluator.shared.parent import Inherited, retake_statistics
from search_space.layers import start_small
from search_space.seeding import derive_seed

EXPLOSION = 20.0  # a loss this many times that of guessing has exploded
SCORE_BATCH = 500  # images scored at once


class _Diverged(Exception):
    pass


class _OutOfTime(Exception):
    pass


def fit(
    model: nn.Module,
    data: Images,
    train: torch.Tensor,
    validation: torch.Tensor,
    recipe: Recipe,
    *,
    mirror: bool,
    seed: int,
    deadline: float = math.inf,
    kept: Continuation | None = None,
    inherited: Inherited | None = None,
    captured: bool = True,
) -> Evaluation:
    """Train a network from scratch, or from where it was left, and score it after each epoch.

    Args:
        model: On the device of the batches; changed in place.
        data: uint8 images and labels, maybe mapped from a file: only batches are copied. Indices are where labels are.
        train: Indices of the images to train on.
        validation: Indices of the images to score on.
        recipe: Epochs, batch size, learning rate, ...
        mirror: Whether images may be flipped left to right.
        seed: Order, crops and flips are derived from it.
        deadline: `time.monotonic()` after which to give up.
        kept: Where the state is taken from, if it is there, and left; its schedule differs from that of a training
            that is never continued. None keeps nothing.
        inherited: What to know of weights that the network has from another; None starts it small.
        captured: On a GPU, record a step once and replay it; to rounding, the result is the same.

    Returns: Status ``ok`` with the last epoch's accuracy, ``diverged`` or ``timeout``.
    """
    start, curve, losses, reason = time.monotonic(), [], [], ""
    status: Status = "ok"
    if inherited is None:
        start_small(model)
    known = inherited or Inherited()
    trainer = Trainer(model, known.statistics or channel_statistics(data.images), recipe, mirror, known.backbone_rate)
    if known.retaken:
        order = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).to(train.device)]
        shown = order[: recipe.batch_size * min(known.retaken, max(1, len(order) // recipe.batch_size))]
        retake_statistics(model, (trainer.normalise(b.images) for b in batches(data, shown, recipe.batch_size)))
    try:
        for accuracy, loss in _epochs(trainer, data, (train, validation), recipe, seed, deadline, kept, captured):
            curve.append(accuracy)
            losses.append(loss)
    except _Diverged as error:
        status, reason = "diverged", str(error)
    except _OutOfTime:
        status = "timeout"
        reason = f"not done after {deadline - start:.1f} s: {len(curve)} of {recipe.epochs} epochs"
    return Evaluation(
        status=status,
        accuracy=curve[-1] if status == "ok" else None,
        reason=reason,
        curve=tuple(curve),
        losses=tuple(losses),
        seconds=time.monotonic() - start,
    )


def _epochs(
    trainer: Trainer,
    data: Images,
    parts: tuple[torch.Tensor, torch.Tensor],
    recipe: Recipe,
    seed: int,
    deadline: float,
    kept: Continuation | None,
    captured: bool,
) -> Iterator[tuple[float, float]]:
    """Train; after each epoch, validation accuracy and loss."""
    (train, validation), device, model = parts, data.device, trainer.model
    generator = torch.Generator(device).manual_seed(derive_seed(seed, "train"))
    batch_size = min(recipe.batch_size, len(train))
    per_epoch = len(train) // batch_size
    every = 1 if device.type == "cpu" else per_epoch  # steps between looks at the loss, which wait for a GPU
    limit = EXPLOSION * math.log(int(data.labels.max()) + 1)
    first = kept.first_epochs if kept else recipe.epochs
    scores = kept.load(model, trainer.optimizer, generator, recipe.epochs) if kept else []
    step = make_step(lambda batch: trainer.step(batch, generator), trainer.optimizer, generator, captured)
    yield from scores
    for epoch in range(len(scores), recipe.epochs):
        start, length = (0, min(first, recipe.epochs)) if epoch < first else (first, recipe.epochs - first)
        model.train()
        order = train[torch.randperm(len(train), generator=generator, device=device).to(train.device)]
        losses = torch.zeros(per_epoch, device=device)
        for index, batch in enumerate(batches(data, order[: per_epoch * batch_size], batch_size)):
            done = epoch * per_epoch + index
            trainer.set_learning_rate(one_cycle(done - start * per_epoch, length * per_epoch, recipe.learning_rate))
            losses[index] = step(batch)
            if (index + 1) % every == 0:
                _check(losses[index + 1 - every : index + 1], done + 1 - every, epoch, limit)
            if time.monotonic() > deadline:
                raise _OutOfTime
        accuracy, loss, _ = trainer.score(data, validation, deadline)
        if not math.isfinite(loss):
            raise _Diverged(f"validation loss {loss:.3g} after epoch {epoch + 1}")
        scores.append((accuracy, loss))
        yield accuracy, loss
    if kept:
        kept.save(model, trainer.optimizer, generator, scores)


def _check(losses: torch.Tensor, done: int, epoch: int, limit: float) -> None:
    """Hold the losses of the steps after the first `done` to a limit."""
    for number, loss in enumerate(losses.tolist(), done + 1):
        if not loss <= limit:  # nor is NaN
            raise _Diverged(f"training loss {loss:.3g} at step {number}, epoch {epoch + 1}")


class Trainer:
    """The training step and the score of one network on one device."""

    def __init__(
        self, model: nn.Module, statistics: Statistics, recipe: Recipe, mirror: bool, backbone_rate: float = 1.0
    ) -> None:
        """Prepare the network and its optimizer.

        Args:
            model: On its device; its memory format is changed.
            statistics: Mean and standard deviation (1, C, 1, 1) of the pixels, 0 to 255.
            recipe: Learning rate, weight decay and label smoothing are used.
            mirror: Whether images may be flipped left to right.
            backbone_rate: See `rated_groups`.
        """
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = next(model.parameters()).device
        if self.device.type == "cpu":
            keep_freed_memory()
        self.mean, self.std = (part.to(self.device) for part in statistics)
        self.label_smoothing = recipe.label_smoothing
        self.mirror = mirror
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            rated_groups(model, recipe.weight_decay, backbone_rate), lr=recipe.learning_rate, fused=True
        )

    def set_learning_rate(self, value: float) -> None:
        """Use this learning rate from the next step on, or the share of it that a group of parameters has."""
        for group in self.optimizer.param_groups:
            rate = value * group.get("lr_scale", 1.0)
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)  # a captured step reads this memory
            else:
                group["lr"] = rate

    def step(self, batch: Images, generator: torch.Generator) -> torch.Tensor:
        """One step on a batch, in training mode; the loss, on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.backward(self.model, *self.varied(batch, generator))
        self.optimizer.step()
        return loss

    def varied(self, batch: Images, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """What is trained on: images 0 to 255, and labels (B,) or shares of classes (B, classes)."""
        return augment(batch.images, generator, self.mirror), batch.labels

    def backward(
        self, model: nn.Module, images: torch.Tensor, targets: torch.Tensor, share: float = 1.0
    ) -> torch.Tensor:
        """Add the gradients of `share` of a batch's mean loss; that part of the loss, on the device."""
        with self._precision():
            logits = model(self.normalise(images))
            loss = functional.cross_entropy(logits.float(), targets, label_smoothing=self.label_smoothing) * share
        loss.backward()
        return loss.detach()

    @torch.inference_mode()
    def score(self, data: Images, index: torch.Tensor, deadline: float = math.inf) -> Score:
        """The score of the images at `index`, in evaluation mode."""
        self.model.eval()
        classes, totals = 0, torch.zeros(3, dtype=torch.float64, device=self.device)
        for batch in batches(data, index, SCORE_BATCH):
            with self._precision():
                logits = self.model(self.normalise(batch.images)).float()
            classes = logits.shape[1]
            right = (logits.argmax(1) == batch.labels).sum()
            near = (logits.topk(min(5, classes)).indices == batch.labels[:, None]).sum()
            loss = functional.cross_entropy(logits, batch.labels, reduction="sum")
            totals += torch.stack([right.double(), near.double(), loss.double()])
            if time.monotonic() > deadline:
                raise _OutOfTime
        correct, close, lost = (total / len(index) for total in totals.tolist())
        return Score(correct, lost, close if classes > 5 else None)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Pixels 0 to 255 as the network sees them."""
        return ((images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _precision(self) -> torch.autocast:
        """bf16 on a GPU; fp32 on a CPU, where bf16 is slower: the backward pass of depthwise convolutions."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights that decay, then normalisation and biases, which do not."""
    return [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]


def rated_groups(model: nn.Module, weight_decay: float, backbone_rate: float) -> list[dict[str, Any]]:
    """The parameters that are trained, in groups of one weight decay and one share of the learning rate.

    `backbone_rate` is the share of all but the classifier; 0 freezes that.
    """
    if backbone_rate == 1:
        return parameter_groups(model, weight_decay)
    head = model.get_submodule("classifier")
    groups, classifier = parameter_groups(head, weight_decay), set(head.parameters())
    if backbone_rate == 0:
        for parameter in set(model.parameters()) - classifier:
            parameter.requires_grad_(False)
        return groups
    for group in parameter_groups(model, weight_decay):
        rest = [parameter for parameter in group["params"] if parameter not in classifier]
        groups.append({**group, "params": rest, "lr_scale": backbone_rate})
    return groups
