"""The proxy: train a candidate from scratch for a few epochs, small, and score it on held-out training images.

MnasNet (arXiv:1807.11626, section 5) trains each candidate for five epochs on ImageNet; here the network is also
narrower and its images smaller, so that a trial takes seconds. The score ranks candidates; it is no forecast.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from evaluator.base import CACHE_DIR, Evaluation, Evaluator
from evaluator.continuation import Continuation
from evaluator.data.dataset import Dataset, Images, load_dataset, majority_share, split
from evaluator.data.folder import log_progress
from evaluator.data.notes import notes
from evaluator.data.placement import place
from evaluator.device.resources import out_of_memory, pick_device, seconds_of_training, threads
from evaluator.shared.parent import Parent
from evaluator.training import Recipe, fit
from search_space import scaling
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.errors import check_fields
from search_space.seeding import derive_seed


@dataclass(frozen=True, kw_only=True)
class ProxyConfig(Recipe):
    """What is trained on what, how, and where. The defaults suit digits on two CPU cores.

    Raises:
        InputError: Fields out of range, by name, with their values and what is allowed.
    """

    data: str = "digits"
    """Data set: ``digits``, ``fashion-mnist:DIR``, ``mnist:DIR``, ``cifar10:DIR``, ``folder:DIR``, or a user's own
    ``package.module:function``."""
    resolution: int | None = None
    """Side of the images, pixels; None for the data set's own (digits 16, folders 64, others as they are)."""
    base_resolution: int | None = None
    """Deployment resolution that `resolution` stands for: a candidate that is deployed on larger images is trained on
    images larger by as much. None trains all candidates at `resolution`."""
    mirror: bool | None = None
    """Whether images may be flipped left to right; None for the data set's own: digits may not, folders may."""
    width: float = 0.5
    """Factor on all channels of the candidate while it is trained."""
    unstrided: int = 1
    """How many of the first strided stages run at stride 1: small images would vanish in five strides."""
    validation_share: float = 0.25
    """Share of each class's training images that is held out to score on."""
    max_images: int | None = None
    """Use at most about this many training images, held-out ones included; None for all."""
    split_seed: int = 0
    """Which images are held out; the same for all candidates, whatever their seeds."""
    timeout: float = 600.0
    """Seconds after which a trial is given up."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; ``auto`` takes a GPU if there is one."""
    captured: bool = True
    """On a GPU: record a network's training step once, as a CUDA graph; false launches each operation anew. To
    rounding, the result is the same."""
    threads: int = 1
    """CPU threads of a trial. Part of the result: sums are taken in another order with another number."""
    inherit: str | None = None
    """File of the weights that every network begins with, as far as it can take them; null for random ones."""
    parent: str | None = None
    """Network that they are of, a YAML file or an installed one's name."""
    keep: str | None = None
    """Folder in which each training's state is left, so that a longer one of the same network and seed continues it;
    null keeps nothing, and then a longer training is one longer cycle of the learning rate."""
    cache_dir: str = str(CACHE_DIR)
    """Where decoded image folders are kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        base = self.base_resolution
        check_fields(
            (self.resolution is None or 8 <= self.resolution <= 1024, "resolution", self.resolution, "8 to 1024"),
            (base is None or base >= 1, "base_resolution", base, "at least 1"),
            (0 < self.width <= 4, "width", self.width, "above 0 and at most 4"),
            (self.unstrided >= 0, "unstrided", self.unstrided, "at least 0"),
            (0 < self.validation_share < 1, "validation_share", self.validation_share, "between 0 and 1"),
            (self.max_images is None or self.max_images >= 20, "max_images", self.max_images, "at least 20"),
            (self.timeout > 0, "timeout", self.timeout, "above 0 seconds"),
            (self.device in ("auto", "cpu", "cuda"), "device", self.device, "auto, cpu or cuda"),
            (1 <= self.threads <= 1024, "threads", self.threads, "1 to 1024"),
            ((self.inherit is None) == (self.parent is None), "parent", self.parent, "given where inherit is"),
        )


DEMO = ProxyConfig()
IMAGENET = ProxyConfig(
    data="folder:imagenet/train",
    resolution=224,
    width=1.0,
    unstrided=0,
    epochs=5,
    batch_size=256,
    learning_rate=5e-3,
    validation_share=0.039,
    timeout=24 * 3600.0,
)
PRESETS: dict[str, ProxyConfig] = {
    "default": DEMO,
    "demo": DEMO,
    "small": ProxyConfig(resolution=64, width=1.0, epochs=20, batch_size=128, validation_share=0.2, timeout=3600.0),
    "imagenet100": dataclasses.replace(
        IMAGENET, data="folder:imagenet100/train", resolution=128, epochs=30, validation_share=0.1, timeout=6 * 3600.0
    ),
    "imagenet": IMAGENET,
}
"""What a search is for decides how its candidates are trained; any setting may be changed on top.

| preset | for | what its ranking is worth |
|---|---|---|
| ``demo`` | the default: the whole loop in minutes on a CPU | next to nothing: less than counting parameters |
| ``small`` | one GPU and images of your own, 64 pixels, full width, 20 epochs | measure it: ``nas-trust RUN`` |
| ``imagenet100`` | 100 classes at 128 pixels, 30 epochs; a cheaper stand-in for ImageNet | measure it |
| ``imagenet`` | MnasNet section 5: 5 epochs, 50,000 of the 1,281,167 training images held out | the papers' own proxy |

All read out the accuracy, which the reward is about. The last two keep the candidate's own strides; ``folder:DIR``
is a folder of class folders, named with ``--data`` if it is not where the preset expects it.
"""
FULL_MACS, LITTLE_EPOCHS, LITTLE_PIXELS = 5_000_000, 10, 64
"""Networks of up to so many MACs are trained as they are deployed: some 2 ms an image on a CPU core."""
CAVEAT = "A demonstration: seconds of training a miniature have ranked networks no better than counting parameters"


class Proxy(Evaluator[ProxyConfig]):
    """Short training, from scratch or from a parent's weights; the data are loaded once, when it is made."""

    Config: ClassVar[type] = ProxyConfig
    presets: ClassVar[dict[str, ProxyConfig]] = PRESETS

    @classmethod
    def caveat(cls, config: ProxyConfig) -> str:
        """That a few epochs of a miniature on small images are a demonstration."""
        itself = config.resolution is not None and (config.width, config.unstrided) == (1, 0)
        little = config.epochs <= LITTLE_EPOCHS and (config.resolution or 0) <= LITTLE_PIXELS
        return CAVEAT if little and not itself else ""

    @classmethod
    def advice(cls, config: ProxyConfig) -> str:
        """Longer trainings of larger networks on larger images, the user's own where the data are a toy."""
        if config.data != DEMO.data:
            return f"--evaluator-preset small --data {config.data}"
        return "--evaluator-preset small --data folder:DIR; for ImageNet, by published trainings: --evaluator imagenet"

    @classmethod
    def measured(cls, config: ProxyConfig, architecture: Architecture) -> Architecture:
        """Narrower, with fewer strides for small images, and without dropout: a training of a few epochs underfits."""
        return scaling.miniature(architecture, config.width, config.unstrided, architecture.resolution)

    @classmethod
    def wants_gpu(cls, config: ProxyConfig) -> bool:
        """Unless the config says CPU."""
        return config.device != "cpu"

    @classmethod
    def images(cls, config: ProxyConfig) -> dict[str, Any]:
        """The same images, at the same resolution."""
        return {name: getattr(config, name) for name in ("data", "resolution", "mirror", "device")}

    @classmethod
    def keeping(cls, config: ProxyConfig, folder: Path) -> ProxyConfig:
        """States are files of that folder."""
        return dataclasses.replace(config, keep=str(folder))

    @classmethod
    def scaled_from(cls, config: ProxyConfig, resolution: int) -> ProxyConfig:
        """Networks of that resolution see the config's own images, larger ones larger images."""
        return dataclasses.replace(config, base_resolution=resolution)

    @classmethod
    def deployed_as(cls, config: ProxyConfig, resolution: int, macs: int) -> ProxyConfig:
        """What is cheap is trained as it is deployed, what is not narrower; a miniature that is asked for stays."""
        asked = (config.resolution, config.width, config.unstrided) != (DEMO.resolution, DEMO.width, DEMO.unstrided)
        if asked or (macs > FULL_MACS and resolution > LITTLE_PIXELS):
            return config
        width = min(1.0, max(0.1, round((FULL_MACS / macs) ** 0.5, 2)))
        return dataclasses.replace(config, resolution=resolution, width=width, unstrided=0)

    @classmethod
    def in_full(cls, config: ProxyConfig, resolution: int | None) -> ProxyConfig:
        """Full width and own strides; other images are held out than those that the search chose by."""
        if resolution is not None:
            config = dataclasses.replace(config, resolution=resolution, base_resolution=None, unstrided=0)
        day, split_seed = 24 * 3600.0, config.split_seed + 1
        return dataclasses.replace(config, width=1.0, split_seed=split_seed, timeout=max(config.timeout, day))

    @classmethod
    def trained_as(cls, config: ProxyConfig, resolution: int | None) -> str:
        """The network itself, or a miniature; how that differs."""
        pixels = None if config.resolution == resolution else config.resolution or "the data set's own"
        return scaling.describe_miniature(config.width, config.unstrided, pixels)

    def __init__(self, config: ProxyConfig) -> None:
        """Load, split and place the data.

        Raises:
            InputError: The data cannot be read, or there is no such device.
        """
        super().__init__(config)
        self.device = pick_device(config.device)
        self._dataset = self._load(config.resolution)
        data = self._limited(self._dataset.train)
        self._data = place(data, self.device)
        parts = split(data.labels, config.validation_share, config.split_seed)
        self._train, self._validation = (part.to(self._data.labels.device) for part in parts)
        self._resolution = data.images.shape[-1]
        self._data_at = {self._resolution: self._data}  # each resolution is read and decoded once
        self._parent: Parent | None = None
        if config.inherit and config.parent:
            self._parent = Parent(config.inherit, config.parent, len(self._dataset.classes))

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """Train the candidate in small and score it; out of memory is ``infeasible``.

        Fidelity multiplies the epochs and the time allowed.
        """
        start = time.monotonic()
        recipe = dataclasses.replace(self.config, epochs=self.config.epochs * fidelity)
        folder = self.config.keep
        kept = Continuation(Path(folder, f"{architecture.key}-{seed}.pt"), self.config.epochs) if folder else None
        with threads(self.config.threads), torch.backends.cudnn.flags(enabled=True, deterministic=True):
            try:
                weights = torch.Generator().manual_seed(derive_seed(seed, "weights"))
                miniature = self.miniature(architecture)
                network = build_model(miniature, generator=weights)
                inherited = self._parent.begin(network, miniature) if self._parent else None
                evaluation = fit(
                    network.to(self.device),
                    self._images(miniature.resolution),
                    self._train,
                    self._validation,
                    recipe,
                    mirror=self._dataset.mirror,
                    seed=seed,
                    deadline=start + self.config.timeout * fidelity,
                    kept=kept,
                    inherited=inherited,
                    captured=self.config.captured,
                )
            except (MemoryError, RuntimeError) as error:
                evaluation = out_of_memory(error, self.device)
        return dataclasses.replace(evaluation, seconds=time.monotonic() - start)

    def estimate(self, architecture: Architecture, seed: int) -> float:
        """From some steps of the training."""
        with threads(self.config.threads):
            miniature = self.miniature(architecture)
            model = build_model(miniature).to(self.device)
            parts = (self._images(miniature.resolution), self._train, self._validation)
            mirror, captured = self._dataset.mirror, self.config.captured
            return seconds_of_training(model, *parts, self.config, mirror=mirror, captured=captured)

    def miniature(self, architecture: Architecture) -> Architecture:
        """What is `measured`, for these images and classes."""
        own, base = self._resolution, self.config.base_resolution
        resolution = own if base is None else max(8, round(own * architecture.resolution / base))
        small = self.measured(self.config, architecture)
        return dataclasses.replace(small, resolution=resolution, classes=len(self._dataset.classes))

    def _load(self, resolution: int | None) -> Dataset:
        dataset = load_dataset(self.config.data, resolution, Path(self.config.cache_dir), log_progress())
        return dataset if self.config.mirror is None else dataclasses.replace(dataset, mirror=self.config.mirror)

    def _images(self, resolution: int) -> Images:
        if resolution not in self._data_at:
            self._data_at[resolution] = place(self._limited(self._load(resolution).train), self.device)
        return self._data_at[resolution]

    def _limited(self, data: Images) -> Images:
        limit = self.config.max_images
        if limit is None or limit >= len(data):
            return data
        return data[split(data.labels, limit / len(data), derive_seed(self.config.split_seed, "limit"))[1]]

    def describe(self) -> dict[str, Any]:
        """Data set, images, device and epochs, for the run's record, and what the user should know of them."""
        said = notes(dataclasses.replace(self._dataset, train=self._data), self._train, self._validation)
        said += [f"Every network begins with what it can take of {self.config.inherit}"] if self._parent else []
        return {
            "data": self._dataset.name,
            "classes": len(self._dataset.classes),
            "train_images": len(self._train),
            "validation_images": len(self._validation),
            "majority_share": majority_share(self._data.labels[self._validation]),
            "resolution": self._resolution,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "epochs": self.config.epochs,
            **({"inherit": self._parent.describe()} if self._parent else {}),
            **({"notes": said} if said else {}),
        }
