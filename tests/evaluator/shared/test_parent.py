import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from evaluator.shared.parent import BACKBONE_RATE, RETAKEN, Parent, retake_statistics, statistics_of
from search_space.builder import build_model
from search_space.errors import InputError
from search_space.scaling import scale
from tests.nas_small import SMALL
from tests.networks import images, outputs
from tests.parents import TRAINED, five


@pytest.fixture
def weights(tmp_path: Path) -> str:
    (tmp_path / "small.yaml").write_text(dataclasses.replace(SMALL, classes=3).to_yaml())  # the file's classes count
    five(tmp_path / "w.safetensors")
    return str(tmp_path / "w.safetensors")


def parent(weights: str, classes: int = 5) -> Parent:
    return Parent(weights, str(Path(weights).parent / "small.yaml"), classes)


@pytest.mark.parametrize("classes", [5, 10])
def test_a_network_begins_with_what_it_can_take(weights: str, classes: int, tmp_path: Path) -> None:
    given = five(tmp_path / "again.safetensors")
    wide = dataclasses.replace(scale(SMALL, 2.0, 1.0, 32), classes=classes)
    network = build_model(wide, generator=torch.Generator().manual_seed(3))
    fresh = network.classifier.weight.clone()
    known = parent(weights, classes)
    inherited = known.begin(network, wide)
    assert (inherited.backbone_rate, inherited.retaken) == (BACKBONE_RATE, RETAKEN)
    assert torch.equal(network.conv_stem.weight[: SMALL.stem], given.conv_stem.weight)
    assert {norm.momentum for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)} == {0.1}
    if classes == 5:
        assert (outputs(network) - outputs(given)).abs().max() < 1e-5
    else:
        assert torch.equal(network.classifier.weight, fresh * 0.03)  # new, and starts small
    assert known.architecture.classes == 5


def test_what_is_new_beside_a_shortcut_begins_as_the_identity(weights: str) -> None:
    """Also the last scale of inherited layers is the parent's, not the zero of a training from scratch."""
    deep = dataclasses.replace(SMALL, stages=(dataclasses.replace(SMALL.stages[0], layers=2), SMALL.stages[1]))
    network = build_model(deep)
    parent(weights).begin(network, deep)
    assert network.blocks[0][0].bn2.weight.all()
    assert not network.blocks[0][1].bn2.weight.any()


def test_the_pixels_that_weights_are_used_to(weights: str) -> None:
    statistics = statistics_of(parent(weights).origin)
    assert statistics is not None
    assert [tuple(part.flatten().tolist()) for part in statistics] == [TRAINED.pixel_mean, TRAINED.pixel_std]
    five(Path(weights), None)
    assert statistics_of(parent(weights).origin) is None


def test_the_digest_is_that_of_the_weights(weights: str) -> None:
    said = parent(weights).describe()
    assert said == parent(weights).describe() != {**said, "digest": ""}
    assert parent(weights, 10).describe() == said  # whatever classes are to be told apart
    network = five(Path(weights))
    with torch.no_grad():
        network.conv_stem.weight[0, 0, 0, 0] += 1
    from evaluator.weights import to_bytes

    Path(weights).write_bytes(to_bytes(network, SMALL, TRAINED))
    assert parent(weights).describe()["digest"] != said["digest"]


def test_a_network_whose_weights_cannot_be_moved_is_refused(weights: str) -> None:
    with pytest.raises(InputError, match="weights cannot be moved to or from a network with layers basic"):
        Parent(weights, "resnet-18", 5)
    with pytest.raises(InputError, match="does not hold this architecture's weights"):
        Parent(weights, "efficientnet-b0", 5)


def test_statistics_are_means_over_the_batches() -> None:
    network = build_model(SMALL)
    batches = list(images(12).split(4))
    before = [norm.momentum for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)]
    retake_statistics(network, batches)
    with torch.no_grad():
        seen = torch.stack([network.conv_stem(batch).mean((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(network.bn1.running_mean, seen)
    assert int(network.bn1.num_batches_tracked) == 3
    assert [norm.momentum for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)] == before
    assert not network.dropout.training
