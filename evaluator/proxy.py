"""The proxy: train a candidate from scratch for a few epochs, small, and score it on held-out training images.

MnasNet (arXiv:1807.11626, section 5) trains each candidate for five epochs on ImageNet; here the network is also
narrower and its images smaller, so that a trial takes seconds. The score ranks candidates; it is no forecast.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from evaluator.base import Evaluation, Evaluator
from evaluator.proxy_config import DEMO, PRESETS, ProxyConfig
from search_space import scaling
from search_space.architecture import Architecture

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
        from evaluator.short_training import ShortTraining  # loads torch

        self.training = ShortTraining(config)

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """Train the candidate in small and score it; out of memory is ``infeasible``.

        Fidelity multiplies the epochs and the time allowed.
        """
        return self.training.evaluate(architecture, seed, fidelity)

    def estimate(self, architecture: Architecture, seed: int) -> float:
        """From some steps of the training."""
        return self.training.estimate(architecture)

    def describe(self) -> dict[str, Any]:
        """Data set, images, device and epochs, for the run's record, and what the user should know of them."""
        return self.training.describe()
