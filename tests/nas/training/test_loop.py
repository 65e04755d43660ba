import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from evaluator.data.dataset import Dataset, Images
from evaluator.data.placement import HostImages
from evaluator.full_recipe import RECIPES, FullRecipe
from evaluator.full_training import FullTrainer, ProcessGroup
from evaluator.weights import load_weights, read_trained_on, to_bytes
from nas.training import loop as train_loop
from nas.training.folder import TrainConfig, TrainFolder
from nas.training.loop import Placement, fitted, join_process_group, load_data, train
from nas.training.run import metrics_table
from search_space.builder import build_model
from search_space.errors import InputError
from search_space.layers import MBConvLayer
from tests.nas_small import SMALL
from tests.parents import TRAINED, five

CONFIG = TrainConfig(recipe=FullRecipe(epochs=3, batch_size=64, ema=0.9, drop_path=0.2, rand_augment=1, mixup=0.2))
HERE = Placement(torch.device("cpu"), quiet=True)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """A part of the digits that counts how often its test images are read."""
    whole = load_data(CONFIG)
    few = torch.arange(400)

    def load_test() -> Any:
        reads.append(1)
        return whole.load_test()[few[:100]]

    return dataclasses.replace(whole, train=whole.train[few], load_test=load_test)


reads: list[int] = []


def begin(path: Path, digits: Dataset, config: TrainConfig = CONFIG) -> TrainFolder:
    folder = TrainFolder(path)
    folder.begin(config, fitted(SMALL, digits), resume=True)
    return folder


def test_a_training_leaves_weights_metrics_and_network(tmp_path: Path, digits: Dataset) -> None:
    reads.clear()
    folder = begin(tmp_path, digits)
    metrics = train(folder, CONFIG, digits, HERE)
    assert reads == [1]
    assert [row["epoch"] for row in metrics["history"]] == [1, 2, 3]
    for name in ("validation_accuracy", "validation_top5_accuracy"):
        assert metrics[name] == metrics["history"][-1][name]
    assert metrics["validation_accuracy"] < metrics["validation_top5_accuracy"] <= 1
    assert metrics["test_accuracy"] < metrics["test_top5_accuracy"] <= 1
    assert len(metrics["pixel_mean"]) == 3
    architecture = folder.architecture()
    assert (architecture.classes, architecture.resolution) == (10, 16)
    load_weights(build_model(architecture), architecture, folder.weights)
    known = read_trained_on(folder.weights, 10)
    assert known is not None
    assert known.pixel_mean == pytest.approx(metrics["pixel_mean"], abs=1e-4)
    assert known.pixel_std == pytest.approx(metrics["pixel_std"], abs=1e-4)
    assert (known.class_names, known.input_size, known.batchnorm_momentum) == (digits.classes, 16, 0.1)
    assert train(folder, CONFIG, digits, HERE) == metrics
    assert reads == [1]


def test_interrupted_in_every_epoch_it_ends_with_the_same_weights(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = begin(tmp_path / "whole", digits)
    train(whole, CONFIG, digits, HERE)
    original = FullTrainer.epoch
    stop = [0, 1, 1, 2, None]

    def interrupted(self: FullTrainer, data: Any, index: Any, number: int) -> Iterator[Any]:
        yield from original(self, data, index, number)
        if number == stop[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(FullTrainer, "epoch", interrupted)
    while stop[0] is not None:
        with pytest.raises(KeyboardInterrupt):
            train(begin(tmp_path / "cut", digits), CONFIG, digits, HERE)
        stop.pop(0)
    train(begin(tmp_path / "cut", digits), CONFIG, digits, HERE)
    assert (tmp_path / "cut" / "network.safetensors").read_bytes() == whole.weights.read_bytes()


def test_initial_weights_are_loaded_or_refused(tmp_path: Path, digits: Dataset) -> None:
    ten = fitted(SMALL, digits)
    given = build_model(ten, generator=torch.Generator().manual_seed(7))
    (tmp_path / "w.safetensors").write_bytes(to_bytes(given, ten))
    still = FullRecipe(epochs=1, batch_size=64, learning_rate=1e-12)
    config = TrainConfig(recipe=still, init=str(tmp_path / "w.safetensors"))
    folder = begin(tmp_path / "a", digits, config)
    train(folder, config, digits, HERE)
    trained = build_model(ten)
    load_weights(trained, ten, folder.weights)
    torch.testing.assert_close(trained.conv_head.weight, given.conv_head.weight)
    wide = dataclasses.replace(ten, head=32)
    (tmp_path / "wide.safetensors").write_bytes(to_bytes(build_model(wide), wide))
    config = dataclasses.replace(config, init=str(tmp_path / "wide.safetensors"))
    with pytest.raises(InputError, match="weights of another architecture"):
        train(begin(tmp_path / "b", digits, config), config, digits, HERE)


@pytest.mark.parametrize("recipe", [RECIPES["finetune"], dataclasses.replace(RECIPES["light"], backbone_rate=0.0)])
def test_fine_tuning_keeps_what_it_inherits(tmp_path: Path, digits: Dataset, recipe: FullRecipe) -> None:
    given = five(tmp_path / "five.safetensors")
    recipe = dataclasses.replace(recipe, epochs=3, batch_size=64)
    config = TrainConfig(recipe=recipe, init=str(tmp_path / "five.safetensors"))
    folder = begin(tmp_path / "out", digits, config)
    metrics = train(folder, config, digits, HERE)
    assert (metrics["pixel_mean"], metrics["pixel_std"]) == ([90, 91, 92], [40, 41, 42])
    known = read_trained_on(folder.weights, 10)
    assert known is not None
    assert (known.pixel_mean, known.pixel_std) == (TRAINED.pixel_mean, TRAINED.pixel_std)
    assert metrics["history"][-1]["loss"] < metrics["history"][0]["loss"]
    trained = build_model(folder.architecture())
    load_weights(trained, folder.architecture(), folder.weights)
    pairs = [(name, tensor, trained.state_dict()[name]) for name, tensor in given.state_dict().items()]
    inherited = [(a, b) for name, a, b in pairs if not name.startswith("classifier") and "num_batches" not in name]
    if recipe.backbone_rate == 0:
        assert all(torch.equal(a, b) for a, b in inherited)
    else:
        assert not any(torch.equal(a, b) for a, b in inherited)
        assert max(float((a - b).abs().max()) for a, b in inherited if a.dim() == 4) < 0.1
        gammas = [module.bn3.weight for module in trained.modules() if isinstance(module, MBConvLayer)]
        assert all(bool((gamma > 0.5).all()) for gamma in gammas)


def test_batches_that_do_not_divide(tmp_path: Path, digits: Dataset) -> None:
    placement = Placement(torch.device("cpu"), ProcessGroup(0, 3), True)
    with pytest.raises(InputError, match="--batch-size 64: must be at least 6 and divide among 3 devices"):
        train(begin(tmp_path, digits), CONFIG, digits, placement)


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with join_process_group("cpu", quiet=True) as placement:
        assert (placement.device.type, placement.group, placement.quiet) == ("cpu", ProcessGroup(0, 1), True)
        placement.wait()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with (
        pytest.raises(InputError, match="--device must be cpu or auto"),
        train_loop.join_process_group("cuda", quiet=True),
    ):
        pass


@pytest.mark.parametrize(("said", "mirrored"), [(None, False), (True, True)])
def test_mirroring_is_the_data_sets_own_unless_said(said: bool | None, mirrored: bool) -> None:
    assert load_data(dataclasses.replace(CONFIG, mirror=said)).mirror == mirrored


def test_large_data_stay_on_the_host_and_give_the_same_weights(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(begin(tmp_path / "a", digits), CONFIG, digits, HERE)
    monkeypatch.setattr(train_loop, "place", lambda data, device: HostImages(data.images, data.labels, device))
    train(begin(tmp_path / "b", digits), CONFIG, digits, HERE)
    assert (tmp_path / "a" / "network.safetensors").read_bytes() == (
        tmp_path / "b" / "network.safetensors"
    ).read_bytes()


def test_without_test_images_there_is_no_test_accuracy(tmp_path: Path, digits: Dataset) -> None:
    untested = dataclasses.replace(digits, load_test=None)
    folder = begin(tmp_path, untested)
    metrics = train(folder, CONFIG, untested, HERE)
    assert [metrics[name] for name in ("test_accuracy", "test_top5_accuracy", "test_loss")] == [None] * 3
    assert '"test_accuracy": null' in folder.metrics.read_text()
    assert "test_accuracy: null" in (tmp_path / "network.yaml").read_text()
    assert train(folder, CONFIG, untested, HERE) == metrics
    assert "-" in str(metrics_table({"one": metrics}).columns[3]._cells)


def test_broken_test_images_are_said_before_the_first_epoch(tmp_path: Path, digits: Dataset) -> None:
    def broken() -> Images:
        raise InputError("val/cat/0.png: broken image")

    folder = begin(tmp_path, digits)
    with pytest.raises(InputError, match="broken image"):
        train(folder, CONFIG, dataclasses.replace(digits, load_test=broken), HERE)
    assert folder.load_checkpoint(HERE.device) is None


def test_a_checkpoint_of_something_else_is_one_line(tmp_path: Path, digits: Dataset) -> None:
    folder = begin(tmp_path, digits)
    for state in ({}, {"trainer": {}, "history": []}, {"trainer": 3}):
        folder.save_checkpoint(state)
        with pytest.raises(InputError, match="its checkpoint does not fit this training"):
            train(folder, CONFIG, digits, HERE)


def test_a_training_does_not_go_on_with_other_images(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FullTrainer.epoch

    def interrupted(self: FullTrainer, data: Any, index: Any, number: int) -> Iterator[Any]:
        yield from original(self, data, index, number)
        if number == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(FullTrainer, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(begin(tmp_path / "cut", digits), CONFIG, digits, HERE)
    monkeypatch.undo()
    fewer = dataclasses.replace(digits, train=digits.train[torch.arange(390)])
    with pytest.raises(InputError, match="the training images have changed since it was begun"):
        train(begin(tmp_path / "cut", digits), CONFIG, fewer, HERE)


def test_a_folder_has_no_resolution_of_its_own(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGB", (40, 30), (90, 20 * number, 0)).save(tmp_path / name / f"{number}.png")
    config = TrainConfig(data=f"folder:{tmp_path}")
    large, small = (dataclasses.replace(SMALL, resolution=side) for side in (48, 24))
    assert load_data(config, [large]).train.images.shape[-1] == 48  # whose classes are others
    with pytest.raises(InputError, match="networks for 24, 48 pixels"):
        load_data(config, [large, small])
    assert load_data(dataclasses.replace(config, resolution=32), [large, small]).train.images.shape[-1] == 32
