"""The loss that shared weights give a network, in place of an accuracy: tens of milliseconds a network."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from joblib import cpu_count

from evaluator.base import CACHE_DIR, Evaluation, Evaluator
from evaluator.data.dataset import load_dataset
from evaluator.data.placement import place
from evaluator.device.resources import pick_device, threads
from evaluator.shared import storage
from evaluator.shared.network import SharedNetwork
from evaluator.shared.scoring import SharedScorer, hold_out
from evaluator.shared.training import Progress, SharedTraining
from search_space.architecture import Architecture
from search_space.errors import InputError, check_fields
from search_space.space import SearchSpace

WARNING = "A score exploited is a score broken: shared weights rank networks, and are no judge of the best of them."
LEAST_WIDTH = 0.25
"""Of the networks that share weights: at this factor on the channels the shared loss has ranked networks well."""
MACS = 400_000
"""Networks of a search are narrowed to about so many multiply-adds, but not below `LEAST_WIDTH`."""
SHARE_SECONDS = 600.0
"""How long the weights are trained where nobody says."""


@dataclass(frozen=True, kw_only=True)
class SharedConfig:
    """What the shared weights are trained on, how wide, and where.

    Raises:
        InputError: Fields out of range, by name, with their values and what is allowed.
    """

    data: str = "digits"
    """Data set, as the proxy takes it."""
    resolution: int | None = None
    """Side of the images, pixels; None for the data set's own."""
    mirror: bool | None = None
    """Whether images may be flipped left to right; None for the data set's own."""
    width: float = LEAST_WIDTH
    """Factor on all channels of the networks."""
    unstrided: int = 1
    """How many of the first strided stages run at stride 1: small images would vanish in five strides."""
    seed: int = 0
    """Seed of the training, and of which images are held out to score on."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; ``auto`` takes a GPU if there is one."""
    weights: str | None = None
    """File of the trained weights; a search puts its own here."""

    def __post_init__(self) -> None:
        check_fields(
            (self.resolution is None or 8 <= self.resolution <= 1024, "resolution", self.resolution, "8 to 1024"),
            (0 < self.width <= 4, "width", self.width, "above 0 and at most 4"),
            (self.unstrided >= 0, "unstrided", self.unstrided, "at least 0"),
            (self.seed >= 0, "seed", self.seed, "at least 0"),
            (self.device in ("auto", "cpu", "cuda"), "device", self.device, "auto, cpu or cuda"),
        )


class Shared(Evaluator[SharedConfig]):
    """Scores by weights that were trained before.

    An accuracy lies in [0, 1], so a loss becomes exp(-loss): the geometric mean, over the images, of the probability
    given to the right class.
    """

    Config: ClassVar[type] = SharedConfig
    presets: ClassVar[dict[str, SharedConfig]] = {"default": SharedConfig()}
    is_lookup: ClassVar[bool] = True
    trains: ClassVar[bool] = False
    search_defaults: ClassVar[dict[str, Any]] = {"share": SHARE_SECONDS}

    def __init__(self, config: SharedConfig) -> None:
        """Wait for the first network: the weights may not be trained yet."""
        super().__init__(config)
        self._scorer: SharedScorer | None = None

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """Score a network; seed and fidelity are ignored, as there is one set of weights."""
        start = time.monotonic()
        if self._scorer is None:
            if self.config.weights is None:
                raise InputError("evaluator shared: needs weights that a search has trained: nas-search --share")
            self._scorer = load_scorer(self.config, Path(self.config.weights))
        try:
            loss = self._scorer.losses([architecture])[0]
        except InputError as error:  # a reference network of another space
            return Evaluation(status="infeasible", reason=str(error))
        return Evaluation(status="ok", accuracy=math.exp(-loss), losses=(loss,), seconds=time.monotonic() - start)

    @classmethod
    def caveat(cls, config: SharedConfig) -> str:
        """The warning that belongs to every score that is no training."""
        return WARNING

    @classmethod
    def images(cls, config: SharedConfig) -> dict[str, Any]:
        """What the weights are trained on."""
        return {name: getattr(config, name) for name in ("data", "resolution", "mirror", "device")}

    @classmethod
    def deployed_as(cls, config: SharedConfig, resolution: int, macs: int) -> SharedConfig:
        """As wide as `MACS` afford, with the networks' own strides where the images have the deployment's size."""
        if (config.width, config.unstrided) != (LEAST_WIDTH, 1):
            return config  # asked for
        width = min(1.0, max(LEAST_WIDTH, round((MACS / macs) ** 0.5, 2)))
        return dataclasses.replace(config, width=width, unstrided=0)

    @classmethod
    def with_weights(cls, config: SharedConfig, path: Path) -> SharedConfig:
        """See `Evaluator.with_weights`."""
        return dataclasses.replace(config, weights=str(path))


def train(
    config: SharedConfig,
    space: SearchSpace,
    macs: tuple[int, int],
    path: Path,
    *,
    seconds: float = math.inf,
    steps: float = math.inf,
    begin: Callable[[SharedNetwork], None] = lambda shared: None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> SharedTraining:
    """Train shared weights on all cores or the GPU, from where they were left at `path`.

    Args:
        config: How.
        space: Of the networks that share them.
        macs: Lowest and highest MACs of these networks.
        path: Where the state is kept.
        seconds: How long to train in all.
        steps: How many steps, if that is less.
        begin: Called with what is to be trained, before it is.
        report: Called now and then.

    Raises:
        InputError: The data cannot be read, or the file at `path` is of other weights.
        NasError: The training diverges.
    """
    device = pick_device(config.device)
    dataset = load_dataset(config.data, config.resolution, CACHE_DIR)
    data = place(dataset.train, device)
    indices, _ = hold_out(dataset.train.labels, config.seed)
    shared = SharedNetwork(
        space,
        width=config.width,
        unstrided=config.unstrided,
        resolution=data.images.shape[-1],
        classes=len(dataset.classes),
    )
    mirror = dataset.mirror if config.mirror is None else config.mirror
    indices = indices.to(data.labels.device)
    training = SharedTraining(shared, data, indices, mirror=mirror, seed=config.seed, macs=macs)
    if path.exists():
        training.load(path)
    begin(shared)
    with threads(cpu_count()), torch.backends.cudnn.flags(enabled=True, deterministic=True):
        training.run(path, seconds=seconds, steps=steps, report=report)
    return training


def load_scorer(config: SharedConfig, path: Path) -> SharedScorer:
    """What scores networks by the weights at `path`, on the CPU.

    Raises:
        InputError: The file or the data cannot be read.
    """
    shared, _, vectors, finished = storage.load(path)
    data = load_dataset(config.data, config.resolution, CACHE_DIR).train
    _, scored = hold_out(data.labels, config.seed)
    weights = torch.stack(finished or [vectors["averages"]])
    return SharedScorer(shared, weights, data, scored)
