"""The folder of one training: its settings, its checkpoint, its results.

config.yaml  network.yaml  checkpoint.pt  network.safetensors  metrics.json  report.html  tensorboard/
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluator.full_recipe import RECIPES, FullRecipe
from nas.runs.loggers import tensorboard
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import schema, strict_yaml
from search_space.io.files import read_text, write_atomic

FORMAT = "nas-train/1"
CHECKPOINT_FORMAT = "nas-checkpoint/1"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training gives; saved with it."""

    data: str = "digits"
    """Data set, as `evaluator.data.dataset.load_dataset` takes it."""
    resolution: int | None = None
    """Side of the images, pixels; None for the data set's own."""
    mirror: bool | None = None
    """Whether images may be flipped left to right; None for the data set's own."""
    recipe: FullRecipe = RECIPES["light"]
    """How to train."""
    validation_share: float = 0.1
    """Share of each class's training images that is held out, to rank networks and to watch the training."""
    seed: int = 0
    """Root of all randomness."""
    init: str | None = None
    """File of the initial weights; None for random ones."""
    parent: str | None = None
    """Network that the initial weights are of, a YAML file or an installed one's name; None for the trained one."""
    bn_eps: float | None = None
    """BatchNorm's eps that the initial weights were made with; None for their source's usual."""

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share must be between 0 and 1, got {self.validation_share}")
        if self.resolution is not None and not 8 <= self.resolution <= 1024:
            raise InputError(f"resolution must be 8 to 1024, got {self.resolution}")
        if self.seed < 0:
            raise InputError(f"seed must be at least 0, got {self.seed}")
        if self.init is None and self.recipe.backbone_rate != 1:
            raise InputError(
                "--recipe finetune and --freeze go with --init: of random weights nothing is worth keeping"
            )
        if self.parent is not None and (self.init is None or self.recipe.backbone_rate == 0):
            raise InputError("--parent goes with --init, and not with --freeze: what is new has to train")
        if self.bn_eps is not None and not 0 < self.bn_eps < 1:
            raise InputError(f"bn_eps must be between 0 and 1, got {self.bn_eps}")


class TrainFolder:
    """One training's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = path / "network.safetensors"
        self.metrics = path / "metrics.json"
        self.page = path / "report.html"
        self.tensorboard = path / tensorboard.FOLDER
        self._checkpoint = path / "checkpoint.pt"
        self._config = path / "config.yaml"
        self._network = path / "network.yaml"

    def begin(self, config: TrainConfig, architecture: Architecture, resume: bool) -> None:
        """Write what is to be trained and how, or make sure that it is what was begun.

        Raises:
            InputError: There is something already and nobody asked to resume, or it was begun otherwise.
        """
        if self.path.exists() and not resume:
            raise InputError(f"-o {self.path}: exists already; add --resume to go on with it, or name another")
        if not self._config.exists():
            write_atomic(self._network, architecture.to_yaml())
            write_atomic(self._config, strict_yaml.dump({"format": FORMAT, **schema.to_plain(config)}))
            return
        before, trained = self.config(), Architecture.load(self._network)
        old, new = _flat(schema.to_plain(before)), _flat(schema.to_plain(config))
        changed = [f"{name} {old[name]}, not {new[name]}" for name in old if old[name] != new[name]]
        if changed:
            raise InputError(f"--resume: {self.path} was begun with other settings: {'; '.join(changed)}")
        if trained.key != architecture.key:  # last: on other data it would be another one
            raise InputError(f"--resume: {self.path} was begun with another network")

    def begun(self) -> bool:
        """Whether a training was begun here."""
        return self._config.exists()

    def config(self) -> TrainConfig:
        """The settings of a training that was begun.

        Raises:
            InputError: They are missing or damaged.
        """
        if not self._config.is_file():
            raise InputError(f"{self._config}: no training was begun here")
        document = strict_yaml.load(read_text(self._config, strict_yaml.MAX_BYTES), str(self._config))
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise InputError(f"{self._config}: not the settings of a training")
        return schema.from_mapping(TrainConfig, document, str(self._config))

    def architecture(self) -> Architecture:
        """The network that is trained here.

        Raises:
            InputError: Its file is missing or damaged.
        """
        return Architecture.load(self._network)

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        file = io.BytesIO()
        torch.save({"format": CHECKPOINT_FORMAT, **state}, file)
        write_atomic(self._checkpoint, file.getvalue())

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """The last checkpoint; None if there is none yet.

        Raises:
            InputError: It is damaged.
        """
        if not self._checkpoint.exists():
            return None
        try:
            state = torch.load(self._checkpoint, map_location=device, weights_only=True)
        except Exception as error:  # noqa: BLE001 - on damaged input the reader raises anything
            first = (str(error) or type(error).__name__).strip().splitlines()[0][:160]
            raise InputError(f"{self._checkpoint}: damaged: {first}") from None
        if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
            raise InputError(f"{self._checkpoint}: not a checkpoint of a training")
        return state

    def finish(self, weights: bytes, architecture: Architecture, metrics: dict[str, Any]) -> None:
        """Write the results; the metrics come last, so that where they are the rest is too."""
        write_atomic(self.weights, weights)
        ride_along = {name: metrics[name] for name in ("macs", "params", "validation_accuracy", "test_accuracy")}
        write_atomic(self._network, architecture.to_yaml(metrics=ride_along))
        write_atomic(self.metrics, json.dumps(metrics, indent=2) + "\n")

    def finished(self) -> dict[str, Any] | None:
        """The metrics of a training that is done; None before.

        Raises:
            InputError: They are damaged.
        """
        if not self.metrics.exists():
            return None
        try:
            metrics = json.loads(read_text(self.metrics))
            numbers = [metrics[name] for name in ("validation_accuracy", "macs", "params", "seconds")]
            tested = metrics["test_accuracy"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise InputError(f"{self.metrics}: damaged: {error}") from None
        if not all(type(number) in (int, float) for number in (*numbers, 0 if tested is None else tested)):
            raise InputError(f"{self.metrics}: damaged: not the metrics of a training")
        return dict(metrics)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in settings.items() if k != "recipe"}, **settings["recipe"]}
