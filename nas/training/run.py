"""Training networks, one after the other, from named settings to their metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from nas.config import given
from nas.statistics import at_chance
from search_space.architecture import Architecture
from search_space.errors import InputError, one_line
from search_space.io import schema

if TYPE_CHECKING:
    from nas.training.folder import TrainConfig

Page = Callable[[Path, dict[str, Any], dict[str, Any]], None]
"""Writes the page of a training from its folder, its metrics and what the network does with held-out images."""
_RECIPE_FLAGS = (
    "epochs",
    "batch_size",
    "accumulate",
    "learning_rate",
    "weight_decay",
    "ema",
    "crop",
    "rand_augment",
    "mixup",
)


def best_of_run(run: Path, count: int) -> dict[str, Architecture]:
    """The best networks of a run, by the name of its folder.

    Raises:
        InputError: The run has not so many.
    """
    files = sorted((run / "top").glob("*.yaml"))
    if not 1 <= count <= len(files):
        raise InputError(f"--run {run}: has {len(files)} networks in its folder top, {count} are wanted")
    return {file.stem if count > 1 else "": Architecture.load(file) for file in files[:count]}


def make_config(recipe: str | None, flags: dict[str, Any]) -> TrainConfig:
    """Typed settings from a recipe's name and what was said apart, by field; None is not said.

    Without a name it is ``finetune`` where there are initial weights, and ``light`` where there are none.

    Raises:
        InputError: Values out of range.
    """
    from evaluator.full_recipe import RECIPES, FullRecipe
    from nas.training.folder import TrainConfig

    changes = given({name: flags.get(name) for name in _RECIPE_FLAGS})
    changes |= {"backbone_rate": 0.0} if flags.get("freeze") else {}
    default = "light" if flags.get("init") is None else "finetune"
    chosen = schema.from_mapping(FullRecipe, {**schema.to_plain(RECIPES[recipe or default]), **changes}, "recipe")
    fields = [field.name for field in dataclasses.fields(TrainConfig) if field.name != "recipe"]
    return schema.from_mapping(
        TrainConfig, {**given({name: flags.get(name) for name in fields}), "recipe": chosen}, "settings"
    )


def lacks_of(recipe: str | None) -> str:
    """What a recipe lacks of the one that it is named after; empty where it lacks nothing."""
    from evaluator.full_recipe import LACKS

    return LACKS.get(recipe or "light", "")


def train_all(
    networks: dict[str, Architecture],
    config: TrainConfig,
    output: Path,
    device: str,
    *,
    resume: bool,
    quiet: bool,
    exact: bool = False,
    page: Page | None = None,
) -> dict[str, dict[str, Any]]:
    """Train networks one after the other.

    Args:
        networks: By the names of their folders.
        config: How to train them.
        output: Where their folders are.
        device: ``auto``, ``cpu`` or ``cuda``.
        resume: Go on with trainings that were begun.
        quiet: Show no progress.
        exact: On a GPU slower kernels that repeat exactly.
        page: What makes a page of a finished training; None for no page.

    Returns:
        Each network's metrics by the name of its folder; none in any but the first of several processes.
    """
    import torch

    from nas.training import loop as train_loop
    from nas.training.folder import TrainFolder
    from nas.training.initial import initial_notes

    folders = {name: TrainFolder(output / name) for name in networks}
    # What an earlier version began on a folder of photos may be of another size than it would be begun with now.
    shown = [folders[n].architecture() if resume and folders[n].begun() else networks[n] for n in networks]
    dataset = train_loop.load_data(config, shown)
    networks = {name: train_loop.fitted(architecture, dataset) for name, architecture in networks.items()}
    begun = [architecture for name, architecture in networks.items() if folders[name].finished() is None]
    lines = initial_notes(config, begun, dataset.classes)  # weights that do not fit are said before anything is written
    with (
        train_loop.join_process_group(device, quiet) as placement,
        torch.backends.cudnn.flags(enabled=True, deterministic=exact, benchmark=not exact),
    ):
        if not placement.quiet:
            for line in [*train_loop.data_notes(config, dataset), *lines]:
                console = Console(stderr=True)
                console.print(one_line(line), markup=False, highlight=False, soft_wrap=not console.is_terminal)
        metrics = {}
        for name, architecture in networks.items():
            folder = folders[name]
            if placement.group.rank == 0:
                folder.begin(config, architecture, resume)
            placement.wait()
            metrics[folder.path.name] = found = train_loop.train(folder, config, dataset, placement)
            if page and placement.group.rank == 0 and not folder.page.exists():
                page(folder.path, found, train_loop.look_inside(folder, config, dataset, placement.device))
        return metrics if placement.group.rank == 0 else {}


def metrics_table(metrics: dict[str, dict[str, Any]]) -> Table:
    """Networks by their accuracy on the held-out images, best first; top-5 where there are more than five classes."""
    names = {"validation_accuracy": "validation", "validation_top5_accuracy": "top-5"}
    names |= {"test_accuracy": "test", "test_top5_accuracy": "top-5"}
    top5 = any(row.get("validation_top5_accuracy") is not None for row in metrics.values())
    shown = [part for part in names if top5 or "top5" not in part]
    table = Table(box=None, pad_edge=False)
    for column in ("network", *(names[part] for part in shown), "MACs", "parameters", "minutes"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, row in sorted(metrics.items(), key=lambda item: -item[1]["validation_accuracy"]):
        scores = [row.get(part) for part in shown]
        accuracies = ["-" if score is None else f"{score:.2%}" for score in scores]
        table.add_row(name, *accuracies, f"{row['macs']:,}", f"{row['params']:,}", f"{row['seconds'] / 60:.1f}")
    return table


def at_chance_lines(metrics: dict[str, dict[str, Any]]) -> list[str]:
    """Which networks guess, and why that is said."""
    guesses = {name: at_chance([row["validation_accuracy"]], row) for name, row in metrics.items()}
    return [f"{name} has learned nothing: {guess}" for name, guess in guesses.items() if guess]
