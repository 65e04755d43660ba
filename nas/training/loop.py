"""Training one network in full, from its folder's settings to its results, whatever kills it on the way."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from evaluator.data.dataset import Dataset, Images, load_dataset, majority_share, split
from evaluator.data.notes import notes
from evaluator.data.placement import place
from evaluator.data.trained_on import TrainedOn
from evaluator.full_training import SINGLE_PROCESS, FullTrainer, ProcessGroup
from evaluator.weights import load_weights, to_bytes
from nas import config as configs
from nas.runs.loggers.tensorboard import Curves
from nas.training.folder import TrainConfig, TrainFolder
from nas.training.initial import initial_weights
from nas.training.inside import look
from nas.training.progress import TrainProgress
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.errors import InputError


@dataclass(frozen=True, slots=True)
class Placement:
    """Where to train, which does not belong to what is trained."""

    device: torch.device
    group: ProcessGroup = SINGLE_PROCESS
    quiet: bool = False

    def wait(self) -> None:
        """Until all processes of the group are here."""
        if self.group.size > 1:
            torch.distributed.barrier()


@contextmanager
def join_process_group(device: str, quiet: bool) -> Iterator[Placement]:
    """This process's device, and its group where torchrun started several.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: Show no progress.

    Raises:
        InputError: There is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device must be cpu or auto where there is no CUDA device, got 'cuda'")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(where)
    group = ProcessGroup(rank, size)
    if size > 1:
        torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Placement(where, group, quiet or rank > 0)
    finally:
        if size > 1:
            torch.distributed.destroy_process_group()


def fitted(architecture: Architecture, dataset: Dataset) -> Architecture:
    """The network for a data set: its classes, its resolution."""
    side = dataset.train.images.shape[-1]
    return dataclasses.replace(architecture, classes=len(dataset.classes), resolution=side)


def load_data(config: TrainConfig, networks: Sequence[Architecture] = ()) -> Dataset:
    """The data set of the settings, at the resolution that they or the networks say.

    Networks that tell as many classes apart as the data have are for them, and see the images that they are deployed
    on; others are brought to the data's classes and own resolution. A folder of photos has none: networks keep theirs.

    Raises:
        InputError: It cannot be read, or the networks are for several resolutions.
    """
    side = config.resolution
    if side is None and networks and config.data.startswith("folder:"):
        side = _only({network.resolution for network in networks})
    dataset = load_dataset(config.data, side)
    sides = {network.resolution for network in networks if network.classes == len(dataset.classes)}
    if side is None and not sides <= {dataset.train.images.shape[-1]}:
        dataset = load_dataset(config.data, _only(sides))
    return dataset if config.mirror is None else dataclasses.replace(dataset, mirror=config.mirror)


def _only(sides: set[int]) -> int:
    """The one resolution of networks that are trained on the same images."""
    if len(sides) > 1:
        raise InputError(f"networks for {', '.join(map(str, sorted(sides)))} pixels: name one with --resolution")
    return next(iter(sides))


def data_notes(config: TrainConfig, dataset: Dataset) -> list[str]:
    """What the user should know of the data before they are trained on."""
    return notes(dataset, *split(dataset.train.labels, config.validation_share, config.seed))


def train(folder: TrainFolder, config: TrainConfig, dataset: Dataset, placement: Placement) -> dict[str, Any]:
    """Train the folder's network to the end, from its checkpoint if there is one; its metrics.

    Raises:
        InputError: The test images cannot be read, or the initial weights or the checkpoint do not fit.
        NasError: The training diverged.
    """
    done = folder.finished()
    if done is not None:
        return done
    test = None if dataset.load_test is None else dataset.load_test()  # what is wrong with it ends no long training
    architecture = folder.architecture()
    batch_size, least = config.recipe.batch_size, 2 * placement.group.size * config.recipe.accumulate
    if batch_size < least or batch_size % placement.group.size:
        allowed = f"at least {least} and divide among {placement.group.size} devices"
        raise InputError(f"--batch-size {batch_size}: must be {allowed}")
    data = place(dataset.train, placement.device)
    parts = split(dataset.train.labels, config.validation_share, config.seed)
    index, held_out = (part.to(data.labels.device) for part in parts)
    trainer = FullTrainer(
        architecture,
        data,
        config.recipe,
        mirror=dataset.mirror,
        seed=config.seed,
        group=placement.group,
        prepare=initial_weights(config, architecture),
    )
    history = _epochs(folder, config, trainer, (data, index, held_out), placement, images_of(dataset))
    scored = {"validation_images": len(held_out), "majority_share": majority_share(data.labels[held_out])}
    score = _score(trainer, test, placement)
    metrics = _results(architecture, config, dataset, trainer, history) | scored | score
    if placement.group.rank == 0:
        final = build_model(architecture)
        final.load_state_dict(trainer.averaged.state_dict())
        folder.finish(to_bytes(final, architecture, trained_on(trainer, dataset)), architecture, metrics)
    return metrics


def images_of(dataset: Dataset) -> dict[str, int]:
    """How many training images each class has: where one changes, others are held out."""
    counts = dataset.train.labels.bincount(minlength=len(dataset.classes))
    return dict(zip(dataset.classes, counts.tolist(), strict=True))


def look_inside(folder: TrainFolder, config: TrainConfig, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """What the folder's finished network does with the images that it was not trained on, for its page."""
    architecture, metrics = folder.architecture(), folder.finished()
    assert metrics is not None, "only a finished training is looked at"
    network = build_model(architecture)
    load_weights(network, architecture, folder.weights)
    data = place(dataset.train, device)
    held_out = split(dataset.train.labels, config.validation_share, config.seed)[1].to(data.labels.device)
    return look(network.to(device), data, held_out, (metrics["pixel_mean"], metrics["pixel_std"]))


def trained_on(trainer: FullTrainer, dataset: Dataset) -> TrainedOn:
    """What whoever uses the weights must know."""
    mean, std = ([round(value, 4) for value in part.flatten().tolist()] for part in (trainer.mean, trainer.std))
    return TrainedOn(
        pixel_mean=(mean[0], mean[1], mean[2]),
        pixel_std=(std[0], std[1], std[2]),
        class_names=dataset.classes,
        input_size=dataset.train.images.shape[-1],
        batchnorm_momentum=trainer.batchnorm_momentum,
    )


def _epochs(
    folder: TrainFolder,
    config: TrainConfig,
    trainer: FullTrainer,
    parts: tuple[Images, torch.Tensor, torch.Tensor],
    placement: Placement,
    images: dict[str, int],
) -> list[dict[str, Any]]:
    """Train the epochs that are left; one row of numbers an epoch, of all of them."""
    data, index, held_out = parts
    checkpoint = folder.load_checkpoint(placement.device)
    history: list[dict[str, Any]] = []
    if checkpoint is not None:
        try:
            trainer.load_state(checkpoint["trainer"])
            history = list(checkpoint["history"])
            begun_on = checkpoint.get("images", images)  # not in checkpoints of before
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(f"{folder.path}: its checkpoint does not fit this training: {error}") from None
        if begun_on != images:
            raise InputError(
                f"{folder.path}: the training images have changed since it was begun, and others would be held out; "
                "train anew with another -o"
            )
    lead = placement.group.rank == 0
    curves = Curves(folder.tensorboard, len(history)) if lead else None
    with TrainProgress(folder.path.name, config.recipe.epochs, len(history), quiet=placement.quiet) as progress:
        if curves and curves.missing and not placement.quiet:
            progress.console.print(curves.missing, markup=False, highlight=False)
        for epoch in range(len(history), config.recipe.epochs):
            start, losses = time.monotonic(), []
            progress.begin_epoch()
            for done, total, loss in trainer.epoch(data, index, epoch):
                losses.append(loss)
                progress.step(epoch, done, total, loss)
            validation = trainer.score_averaged(data, held_out)
            row = {
                "epoch": epoch + 1,
                "loss": sum(losses) / len(losses),
                "learning_rate": float(trainer.optimizer.param_groups[0]["lr"]),
                "validation_accuracy": validation.accuracy,
                "validation_top5_accuracy": validation.top5_accuracy,
                "validation_loss": validation.loss,
                "images_per_sec": progress.images_per_sec,
                "seconds": time.monotonic() - start,
            }
            history.append(row)
            if lead:
                folder.save_checkpoint({"trainer": trainer.state(), "history": history, "images": images})
            if curves:
                curves.add(row)
            progress.end_epoch(row)
    if curves:
        curves.close()
    return history


def _score(trainer: FullTrainer, test: Images | None, placement: Placement) -> dict[str, Any]:
    """The final weights on the test images, which are looked at only here; empty where there are none."""
    if test is None:
        return {}
    data = place(test, placement.device)
    score = trainer.score_averaged(data, torch.arange(len(data), device=data.labels.device))
    return {"test_accuracy": score.accuracy, "test_top5_accuracy": score.top5_accuracy, "test_loss": score.loss}


def _results(
    architecture: Architecture,
    config: TrainConfig,
    dataset: Dataset,
    trainer: FullTrainer,
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    """What the training gave, the score on the test images apart."""
    cost = count(architecture)
    return {
        "validation_accuracy": history[-1]["validation_accuracy"],
        "validation_top5_accuracy": history[-1].get("validation_top5_accuracy"),  # not in checkpoints of before
        "test_accuracy": None,
        "test_top5_accuracy": None,
        "test_loss": None,
        "macs": cost.macs,
        "params": cost.params,
        "seconds": sum(row["seconds"] for row in history),
        "data": dataset.name,
        "classes": list(dataset.classes),
        "pixel_mean": trainer.mean.flatten().tolist(),
        "pixel_std": trainer.std.flatten().tolist(),
        "key": architecture.key,
        "seed": config.seed,
        "versions": configs.versions(),
        "history": history,
    }
