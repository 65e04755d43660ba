"""The training of the proxy: data that are loaded once, and candidates that are trained and scored on them in small."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch

from evaluator.base import Evaluation
from evaluator.continuation import Continuation
from evaluator.data.dataset import Dataset, Images, load_dataset, majority_share, split
from evaluator.data.folder import log_progress
from evaluator.data.notes import notes
from evaluator.data.placement import place
from evaluator.device.resources import out_of_memory, pick_device, seconds_of_training, threads
from evaluator.proxy_config import ProxyConfig
from evaluator.shared.parent import Parent
from evaluator.training import fit
from search_space import scaling
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.seeding import derive_seed


class ShortTraining:
    """Short trainings, from scratch or from a parent's weights, on the data of one config."""

    def __init__(self, config: ProxyConfig) -> None:
        """Load, split and place the data.

        Raises:
            InputError: The data cannot be read, or there is no such device.
        """
        self.config = config
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

    def estimate(self, architecture: Architecture) -> float:
        """Seconds that a training would take, from some steps of it."""
        with threads(self.config.threads):
            miniature = self.miniature(architecture)
            model = build_model(miniature).to(self.device)
            parts = (self._images(miniature.resolution), self._train, self._validation)
            mirror, captured = self._dataset.mirror, self.config.captured
            return seconds_of_training(model, *parts, self.config, mirror=mirror, captured=captured)

    def miniature(self, architecture: Architecture) -> Architecture:
        """What is trained in a candidate's place, for these images and classes."""
        own, base = self._resolution, self.config.base_resolution
        resolution = own if base is None else max(8, round(own * architecture.resolution / base))
        width, unstrided = self.config.width, self.config.unstrided
        small = scaling.miniature(architecture, width, unstrided, architecture.resolution)
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
        if self._parent:
            said.append(f"Every network begins with what it can take of {self.config.inherit}")
            said += filter(None, [self._parent.origin.caution(self._dataset.classes)])
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
