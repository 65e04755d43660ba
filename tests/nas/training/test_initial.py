import dataclasses
from pathlib import Path

import pytest
import torch

from evaluator.full_recipe import RECIPES
from nas.training.folder import TrainConfig
from nas.training.initial import initial_notes, initial_weights, locate
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.errors import InputError
from search_space.scaling import scale
from tests.nas_small import SMALL
from tests.networks import outputs
from tests.parents import TRAINED, five

TEN = dataclasses.replace(SMALL, classes=10)


def config(path: Path, parent: Path | None = None) -> TrainConfig:
    return TrainConfig(recipe=RECIPES["finetune"], init=str(path), parent=str(parent) if parent else None)


def test_what_is_inherited_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    five(path)
    total = count(TEN).params
    assert initial_notes(config(path), [TEN, SMALL], ()) == [
        f"--init {path}: a new classifier, of 10 classes where it has 5: 170 of {total:,} weights; the others "
        "inherited; mean and deviation of the pixels are its own",
        f"--init {path}: all {count(SMALL).params:,} weights inherited; mean and deviation of the pixels are its own",
    ]
    five(path, None)
    assert "pixels are the data's, as the file does not say its own" in initial_notes(config(path), [TEN], ())[0]


def test_without_a_file_weights_are_random() -> None:
    assert initial_notes(TrainConfig(), [TEN], ()) == []
    assert initial_weights(TrainConfig(), TEN) is None


def test_the_pixels_that_the_weights_are_used_to(tmp_path: Path) -> None:
    five(tmp_path / "w.safetensors")
    prepare = initial_weights(config(tmp_path / "w.safetensors"), TEN)
    assert prepare is not None
    statistics = prepare(build_model(TEN))
    assert statistics is not None
    assert [tuple(part.flatten().tolist()) for part in statistics] == [TRAINED.pixel_mean, TRAINED.pixel_std]


@pytest.mark.parametrize("classes", [5, 10])
def test_a_network_takes_after_another(classes: int, tmp_path: Path) -> None:
    """The parent's YAML file may be of other classes than the weights: those are what counts."""
    weights, parent = tmp_path / "w.safetensors", tmp_path / "parent.yaml"
    given = five(weights)
    parent.write_text(dataclasses.replace(SMALL, classes=3).to_yaml())
    wide = dataclasses.replace(scale(SMALL, 2.0, 1.0, 32), classes=classes)
    network = build_model(wide, generator=torch.Generator().manual_seed(3))
    fresh = network.classifier.weight.clone()
    prepare = initial_weights(config(weights, parent), wide)
    assert prepare is not None
    prepare(network)
    (note,) = initial_notes(config(weights, parent), [wide], ())
    assert "inherited, in 3 of 3 layers; the others are new; mean and" in note
    assert torch.equal(network.conv_stem.weight[: SMALL.stem], given.conv_stem.weight)
    if classes == 5:
        assert (outputs(network) - outputs(given)).abs().max() < 1e-5
    else:
        assert torch.equal(network.classifier.weight, fresh)
        assert "a new classifier, of 10 classes where it has 5: 330 of" in note


def test_weights_of_another_network_need_their_parent(tmp_path: Path) -> None:
    five(tmp_path / "w.safetensors")
    wide = scale(SMALL, 2.0, 1.0, 32)
    with pytest.raises(InputError, match="weights of another architecture"):
        initial_notes(config(tmp_path / "w.safetensors"), [wide], ())
    with pytest.raises(InputError, match="unknown architecture 'absent'"):
        initial_notes(config(tmp_path / "w.safetensors", Path("absent")), [wide], ())
    b0 = Architecture.load("efficientnet-b0")
    with pytest.raises(InputError, match="does not hold this architecture's weights"):
        initial_notes(config(tmp_path / "w.safetensors", Path("efficientnet-b0")), [b0], ())


def test_a_parent_alone_or_frozen_is_refused() -> None:
    frozen = dataclasses.replace(RECIPES["finetune"], backbone_rate=0.0)
    for wrong in ({}, {"init": "w.pt", "recipe": frozen}):
        with pytest.raises(InputError, match="--parent goes with --init, and not with --freeze"):
            TrainConfig(parent="efficientnet-b0", **wrong)  # type: ignore[arg-type]


def test_a_checkpoint_is_a_folder_or_a_file_and_its_network(tmp_path: Path) -> None:
    weights, network = tmp_path / "network.safetensors", tmp_path / "network.yaml"
    five(weights)
    with pytest.raises(InputError, match=r"network.safetensors: which network are these weights of\? --parent "):
        locate(str(tmp_path), None)
    network.write_text(SMALL.to_yaml())
    assert locate(str(tmp_path), None) == locate(str(weights), None) == (str(weights), str(network))
    other = tmp_path / "other.safetensors"
    five(other)
    assert locate(str(other), str(network)) == (str(other), str(network))
    for wrong, words in (
        ((str(other), None), "which network are these weights of"),
        ((str(other), "efficientnet-b0"), "does not hold this architecture's weights"),
        ((str(other), "resnet-18"), "weights cannot be moved"),
        ((str(tmp_path / "absent.pt"), "efficientnet-b0"), "absent.pt: cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            locate(*wrong)


def test_weights_that_may_have_seen_the_held_out_images_are_warned_of(tmp_path: Path) -> None:
    five(tmp_path / "w.safetensors")
    here = config(tmp_path / "w.safetensors")
    assert "have seen most of those that are held out" in initial_notes(here, [SMALL], TRAINED.class_names)[-1]
    assert len(initial_notes(here, [SMALL], tuple("fghij"))) == 1
