"""What a search does after its end, if asked: train its best networks in full, or the winner of its final."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas import config
from nas.config import SearchConfig
from nas.runs.deployment import checkpoint_of
from nas.runs.directory import FINAL_TRAINED, inside
from nas.training.run import Page, best_of_run, make_config, train_all
from search_space.architecture import Architecture
from search_space.errors import InputError


def check(count: int | None, settings: SearchConfig) -> None:
    """Refuse before the search what could not be trained after it.

    Args:
        count: Networks to train; None for none.
        settings: The search's.

    Raises:
        InputError: More networks than the run keeps, or an evaluator without images.
    """
    if count is None:
        return
    if not 1 <= count <= settings.top:
        raise InputError(f"--retrain {count}: must be from 1 to {settings.top}, the number of networks that are kept")
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    if not cls.images(evaluator_config):
        raise InputError(f"--retrain: evaluator {settings.evaluator.name} has no images to train on")


def retrain(
    count: int, settings: SearchConfig, run: Path, *, quiet: bool, page: Page | None = None
) -> dict[str, dict[str, Any]]:
    """Train the best networks of a finished run on the search's images, in its folder ``trained``; their metrics.

    Where that was begun before, it goes on.
    """
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    images = cls.images(evaluator_config)
    kept = len(list((run / "top").glob("*.yaml")))
    training = make_config(None, {**images, **_size(settings, images), **_begun_with(settings), "seed": settings.seed})
    networks = best_of_run(run, min(count, kept))
    for name in networks:
        inside(run, "trained", name, "")
    return train_all(networks, training, run / "trained", images["device"], resume=True, quiet=quiet, page=page)


def keep_winner(network: Architecture, settings: SearchConfig, run: Path, *, quiet: bool) -> Path | None:
    """Train the winner of a final once more, as long and with the same steps, and keep its weights.

    Args:
        network: The winner.
        settings: The search's.
        run: Its directory.
        quiet: Show no progress.

    Returns:
        The folder, as `nas-train` leaves it; None where the evaluator has no images.
    """
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    images = cls.images(evaluator_config)
    if not images:
        return None
    from nas.training.loop import load_data  # loads torch

    steps = {name: getattr(evaluator_config, name, None) for name in ("batch_size", "learning_rate", "weight_decay")}
    said = {**images, **_size(settings, images), **steps, **_begun_with(settings), "seed": settings.seed}
    shown = len(load_data(make_config(None, said), [network]).train)
    limit = getattr(evaluator_config, "max_images", None) or shown
    epochs = max(1, round(settings.final_longer * evaluator_config.epochs * min(1.0, limit / shown)))
    folder = inside(run, *FINAL_TRAINED.parts, network.key, "").parent
    train_all(
        {network.key: network},
        make_config(None, {**said, "epochs": epochs}),
        folder,
        images["device"],
        resume=True,
        quiet=quiet,
    )
    return folder / network.key


def _size(settings: SearchConfig, images: dict[str, Any]) -> dict[str, Any]:
    """The networks' own resolution, where they are for the images; else that which the search saw."""
    if settings.classes is not None:
        return {"resolution": None}
    if images.get("resolution") is None and str(images.get("data")).startswith("folder:"):
        from evaluator.data.folder import DEFAULT_RESOLUTION  # loads torch

        return {"resolution": DEFAULT_RESOLUTION}
    return {}


def _begun_with(settings: SearchConfig) -> dict[str, Any]:
    """The weights that a search's networks begin with, as `nas-train` takes them."""
    return dict(zip(("init", "parent"), checkpoint_of(settings) or (None, None), strict=True))
