"""How a network is trained in full: the recipe of the papers, and a lighter one for small data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from evaluator.recipe import WARM_UP, Recipe, one_cycle
from evaluator.shared.parent import BACKBONE_RATE
from search_space.errors import check_fields


@dataclass(frozen=True, kw_only=True)
class FullRecipe(Recipe):
    """A full training. The defaults suit small images and some minutes; see `RECIPES` for the papers'.

    Raises:
        InputError: Fields out of range, by name, with their values and what is allowed.
    """

    epochs: int = 30
    """Passes over the training images."""
    batch_size: int = 128
    """Images a step, over all devices."""
    accumulate: int = 1
    """Parts that a batch is worked through in, where it does not fit into memory at once."""
    optimizer: Literal["adamw", "rmsprop"] = "adamw"
    """``rmsprop`` is TensorFlow's, decay and momentum 0.9, eps 1e-3: EfficientNet section 5.2."""
    schedule: Literal["one-cycle", "exponential"] = "one-cycle"
    """``one-cycle`` rises and falls once; ``exponential`` multiplies by 0.97 every 2.4 epochs after a warm-up."""
    warm_up: float = WARM_UP
    """Share of the steps in which the rate of ``one-cycle`` rises."""
    backbone_rate: float = 1.0
    """Learning rate of all but the classifier, as a share of the classifier's. 0 freezes it: its weights and BatchNorm
    statistics stay, and it computes as in evaluation."""
    small_start: bool = True
    """Start the classifier near zero and residual layers as the identity, with quick BatchNorm averages; otherwise
    EfficientNet's own initialisation and BatchNorm momentum. What is inherited is not touched."""
    drop_path: float = 0.0
    """Stochastic depth: layer i of n is dropped at this rate * i / n."""
    ema: float = 0.0
    """Decay a step of the weights' moving average, which is what is scored and kept; 0 for none."""
    crop: Literal["shift", "resized"] = "shift"
    """``shift`` moves images by up to an eighth of their side; ``resized`` shows a random part of them, enlarged."""
    rand_augment: int = 0
    """Random operations an image (RandAugment, arXiv:1909.13719); 0 for none beyond crops and flips."""
    magnitude: float = 9.0
    """Strength of those operations, 0 to 10."""
    mixup: float = 0.0
    """Alpha of mixup (arXiv:1710.09412); 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(
            (self.accumulate >= 1, "accumulate", self.accumulate, "at least 1"),
            (self.batch_size >= 2 * self.accumulate, "accumulate", self.accumulate, "at most half of batch_size"),
            (self.optimizer in ("adamw", "rmsprop"), "optimizer", self.optimizer, "adamw or rmsprop"),
            (self.crop in ("shift", "resized"), "crop", self.crop, "shift or resized"),
            (self.schedule in ("one-cycle", "exponential"), "schedule", self.schedule, "one-cycle or exponential"),
            (0 < self.warm_up < 1, "warm_up", self.warm_up, "between 0 and 1"),
            (0 <= self.backbone_rate <= 1, "backbone_rate", self.backbone_rate, "from 0 to 1"),
            (0 <= self.drop_path < 1, "drop_path", self.drop_path, "from 0 to below 1"),
            (0 <= self.ema < 1, "ema", self.ema, "from 0 to below 1"),
            (0 <= self.rand_augment <= 10, "rand_augment", self.rand_augment, "0 to 10"),
            (0 <= self.magnitude <= 10, "magnitude", self.magnitude, "0 to 10"),
            (0 <= self.mixup <= 10, "mixup", self.mixup, "0 to 10"),
        )

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""
        if self.schedule == "one-cycle":
            return one_cycle(step, self.epochs * steps_per_epoch, self.learning_rate, self.warm_up)
        # Five epochs of warm-up belong to a recipe of 350: a short training keeps the share below a tenth.
        warm_up = min(5.0, self.epochs / 10) * steps_per_epoch
        epoch = step / steps_per_epoch
        decay: float = 0.97 ** (epoch // 2.4)
        return self.learning_rate * min((step + 1) / max(1.0, warm_up), 1.0) * decay


RECIPES: dict[str, FullRecipe] = {
    "light": FullRecipe(),
    # BatchNorm trains, its averages with small_start's momentum of 0.1, which SimCLR (arXiv:2002.05709, appendix B.8)
    # takes for data of up to a hundred steps an epoch: with 0.01 the parent's statistics would stay for hundreds.
    "finetune": FullRecipe(
        epochs=20,
        batch_size=64,
        learning_rate=1e-2,
        backbone_rate=BACKBONE_RATE,
        warm_up=0.1,
    ),
    "efficientnet": FullRecipe(
        epochs=350,
        batch_size=256,
        optimizer="rmsprop",
        schedule="exponential",
        learning_rate=0.016,
        weight_decay=1e-5,
        small_start=False,
        drop_path=0.2,
        ema=0.9999,
        crop="resized",
        rand_augment=2,
    ),
}
"""``efficientnet``: arXiv:1905.11946, section 5.2, but for what `LACKS` says."""
LACKS = {
    "efficientnet": "Recipe efficientnet lacks, against the paper's: AutoAugment's learned policy (RandAugment without "
    "sharpness and equalize stands in for it); crops of whole images (they are cut from images that were made square "
    "and as small as they are trained on); BatchNorm statistics shared among GPUs"
}
"""What recipes lack of those that they are named after, by name."""


class RMSProp(torch.optim.Optimizer):
    """TensorFlow's RMSProp, which the papers' recipe was tuned for.

    Mean square m <- a m + (1 - a) g^2, velocity v <- b v + lr g / sqrt(m + eps), weight w <- w - v.

    PyTorch's differs in three ways that matter at a learning rate of 0.016 and eps of 1e-3: it starts the mean square
    at 0 instead of 1 (first steps far too long), adds eps outside the root, and lets the momentum forget the learning
    rate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        decay: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        """Prepare to update `params`; the defaults are EfficientNet's (section 5.2, eps from its code)."""
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        assert closure is None, "the loss is not evaluated again"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["square"] = torch.ones_like(parameter)
            state["velocity"] = torch.zeros_like(parameter)
        assert parameter.grad is not None
        gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
        square, velocity = state["square"], state["velocity"]
        square.mul_(group["decay"]).addcmul_(gradient, gradient, value=1 - group["decay"])
        velocity.mul_(group["momentum"]).addcdiv_(gradient, (square + group["eps"]).sqrt_(), value=group["lr"])
        parameter.sub_(velocity)
