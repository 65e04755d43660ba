"""Scores of an untrained network, in a fraction of a second: gradient norm, snip, log synflow, parameter count.

A gradient score looks at one batch of noise images with random labels: what the network could change, not what it
learned. On published ImageNet trainings these rank far better than seconds of training on small images do, and they
are no judge: a score exploited is a score broken. A search on the gradient norm alone ends below a random search on
true accuracies, with networks that are wide where the score looks; `docs/trust.md` has the figures.

Scores compare only within one code path and on one noise: the same seed gives weights, images and labels of every
network, so the seed is the config's and not the trial's.
"""

from __future__ import annotations

import dataclasses
import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.base import Evaluation, Evaluator
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.errors import check_fields
from search_space.layers import CLASSIFIER_SCALE
from search_space.seeding import derive_seed

WARNING = "A score exploited is a score broken: a training-free score is no judge."
MIDDLE = "efficientnet-b0"
"""The network whose score becomes an accuracy of one half."""
POWER = 0.2
"""Doubling a score raises the accuracy by 7 % of it, as doubling the gradient norm does on published networks: there
the slope of log accuracy on log score is 0.12 over all networks and 0.10 at equal MACs."""


@dataclass(frozen=True, kw_only=True)
class TrainingFreeConfig:
    """What an untrained network is shown.

    Raises:
        InputError: Fields out of range, by name, with their values and what is allowed.
    """

    resolution: int = 32
    """Side of the noise images, pixels."""
    batch_size: int = 32
    """Noise images in the one batch."""
    classes: int = 10
    """Outputs of the network, and random labels to choose from."""
    seed: int = 0
    """Seed of weights, images and labels, the same for every network: scores on other noise do not compare."""
    threads: int = 1
    """CPU threads of a score. Part of the result: sums are taken in another order with another number."""

    def __post_init__(self) -> None:
        check_fields(
            (8 <= self.resolution <= 1024, "resolution", self.resolution, "8 to 1024"),
            (self.batch_size >= 2, "batch_size", self.batch_size, "at least 2: BatchNorm needs two images"),
            (self.classes >= 2, "classes", self.classes, "at least 2"),
            (self.seed >= 0, "seed", self.seed, "at least 0"),
            (1 <= self.threads <= 1024, "threads", self.threads, "1 to 1024"),
        )


class TrainingFree(Evaluator[TrainingFreeConfig]):
    """A score in place of an accuracy.

    An accuracy lies in [0, 1], so a score s becomes 1 / (1 + (s0 / s)^`POWER`), where s0 is EfficientNet-B0's: a
    network that scores as B0 does has 0.5. It rises with the score and is not the share of anything, but it weighs
    against MACs as an accuracy does.
    """

    Config: ClassVar[type] = TrainingFreeConfig
    presets: ClassVar[dict[str, TrainingFreeConfig]] = {"default": TrainingFreeConfig()}
    trains: ClassVar[bool] = False

    def __init__(self, config: TrainingFreeConfig) -> None:
        """Score EfficientNet-B0, which the others are set against."""
        super().__init__(config)
        self._middle = self.log_score(Architecture.load(MIDDLE))

    @abstractmethod
    def log_score(self, architecture: Architecture) -> float:
        """Natural logarithm of the score of a network; more is better. -inf or NaN where it broke down."""

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """Score a network; trial seeds and fidelity are ignored, as all networks are shown the same."""
        start = time.monotonic()
        score = self.log_score(architecture)
        seconds = time.monotonic() - start
        if not math.isfinite(score):
            return Evaluation(status="diverged", reason=f"log score {score}", seconds=seconds)
        accuracy = 0.5 * (1 + math.tanh(POWER * (score - self._middle) / 2))  # the same, and no overflow
        return Evaluation(status="ok", accuracy=accuracy, seconds=seconds)

    def estimate(self, architecture: Architecture, seed: int) -> float:
        """A score takes no time to speak of: it is made."""
        return self.evaluate(architecture, seed).seconds

    @classmethod
    def caveat(cls, config: TrainingFreeConfig) -> str:
        """The warning that belongs to every training-free score."""
        return WARNING

    @classmethod
    def with_seed(cls, config: TrainingFreeConfig, seed: int) -> TrainingFreeConfig:
        """Other weights, images and labels."""
        return dataclasses.replace(config, seed=seed)

    def describe(self) -> dict[str, Any]:
        """That no image was looked at."""
        return {"data": "noise", "resolution": self.config.resolution, "device": "cpu"}

    def _model(self, architecture: Architecture) -> nn.Module:
        """The untrained network, its classifier near zero, without dropout."""
        bare = dataclasses.replace(architecture, classes=self.config.classes, dropout=0.0)
        model = build_model(bare, generator=self._generator("weights"))
        with torch.no_grad():
            model.classifier.weight.mul_(CLASSIFIER_SCALE)
        return model

    def _noise(self) -> tuple[Tensor, Tensor]:
        """Images (B, 3, S, S), standard normal, and labels (B,)."""
        size, side = self.config.batch_size, self.config.resolution
        images = torch.randn(size, 3, side, side, generator=self._generator("images"))
        return images, torch.randint(self.config.classes, (size,), generator=self._generator("labels"))

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.config.seed, purpose))


class GradientNorm(TrainingFree):
    """Sum of abs(dL/dw) over the weights of convolutions and linear layers."""

    def log_score(self, architecture: Architecture) -> float:
        """Log of the gradient's L1 norm."""
        return _log(_on_threads(self.config.threads, gradient_l1, self._model(architecture), *self._noise()))


class Snip(TrainingFree):
    """Sum of abs(w * dL/dw) (arXiv:1810.02340, equation 5, without its normalisation)."""

    def log_score(self, architecture: Architecture) -> float:
        """Log of the connection sensitivities' sum."""
        return _log(_on_threads(self.config.threads, snip, self._model(architecture), *self._noise()))


class Synflow(TrainingFree):
    """Sum of w * log(1 + dR/dw): synflow (arXiv:2006.05467) with logs of its gradients, as in arXiv:2207.05135."""

    def log_score(self, architecture: Architecture) -> float:
        """Log of the sum."""
        side = self.config.resolution
        return _log(_on_threads(self.config.threads, log_synflow, self._model(architecture), (3, side, side)))


class Params(TrainingFree):
    """The number of parameters: the bar that any proxy has to pass."""

    is_lookup: ClassVar[bool] = True

    def log_score(self, architecture: Architecture) -> float:
        """Log of the number of parameters with the architecture's own classifier."""
        return math.log(count(architecture).params)


def gradient_l1(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum of abs(dL/dw) over conv and linear weights; L is the mean cross-entropy, BatchNorm in training mode."""
    weights = _backward_loss(model, images, labels)
    return sum(float(_gradient(w).abs().sum()) for w in weights)


def snip(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum of abs(w * dL/dw) over conv and linear weights; L is the mean cross-entropy."""
    weights = _backward_loss(model, images, labels)
    return sum(float((w.detach() * _gradient(w)).abs().sum()) for w in weights)


def log_synflow(model: nn.Module, image_shape: tuple[int, int, int]) -> float:
    """Sum of abs(w) * log(1 + dR/d abs(w)) over conv and linear weights; the log keeps one layer from drowning others.

    R is the sum of the outputs for one image of ones, with all parameters made positive, in double precision and
    with BatchNorm in evaluation mode: at the start that is the identity up to its epsilon.

    Args:
        model: Untrained; its parameters are changed.
        image_shape: (C, H, W).
    """
    model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    model(torch.ones(1, *image_shape, dtype=torch.float64)).sum().backward()
    return sum(float((w.detach() * _gradient(w).log1p()).sum()) for w in _weights(model))


def _backward_loss(model: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    model.train()
    functional.cross_entropy(model(images), labels).backward()
    return list(_weights(model))


def _weights(model: nn.Module) -> Iterator[Tensor]:
    """Weights of convolutions and linear layers, biases and BatchNorm left out."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield module.weight


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None, "every layer is on the way to the output"
    return weight.grad


def _log(score: float) -> float:
    return math.log(score) if score > 0 else -math.inf


def _on_threads(threads: int, score: Callable[..., float], *arguments: Any) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return score(*arguments)
    finally:
        torch.set_num_threads(before)
