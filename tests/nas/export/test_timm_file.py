import importlib
from types import ModuleType
from typing import Any

import pytest

from evaluator.data.trained_on import TrainedOn
from nas.export.check import output_difference
from nas.export.timm_file import import_timm, run_in_timm, to_source
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from search_space.errors import InputError, NasError
from tests.nas_small import SMALL
from tests.networks import images, pretend_trained, random_networks


def check(architecture: Architecture) -> None:
    network = build_model(architecture)
    pretend_trained(network)
    outputs = run_in_timm(to_source(architecture, "exported"), network, images())
    output_difference("timm", outputs, network, images(), 1e-5)


@pytest.mark.parametrize("name", ["efficientnet-b0", "mnasnet-a1", "mobilenet-v2"])
def test_reference_networks(name: str, timm: ModuleType) -> None:
    check(Architecture.load(name))


SPACES = ["mnasnet", "efficientnet", "accel-nasbench"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_random_networks_build_or_name_the_block(space: str, count: int, timm: ModuleType) -> None:
    reasons = []
    for architecture in random_networks(space, count, seed=count):
        try:
            to_source(architecture, "exported")
        except InputError as error:
            reasons.append(str(error))
        else:
            check(architecture)
    assert not reasons or space == "mnasnet"  # has squeeze-excite on plain convolutions
    assert all(reason.startswith("timm's block strings cannot say block ") for reason in reasons)
    assert not any("\n" in reason or "skip pool" in reason for reason in reasons)


def test_pooled_shortcuts_of_every_kind(timm: ModuleType) -> None:
    stages = (
        Stage(op="conv", kernel=3, channels=8, layers=2, skip="pool"),
        Stage(op="mbconv", expand=1, kernel=3, stride=2, channels=8, layers=3, se=0.25, skip="pool"),
        Stage(op="mbconv", expand=2, kernel=3, channels=12, layers=2, skip="identity"),
        Stage(op="mbconv", expand=2, kernel=5, stride=2, channels=12, layers=2, skip="pool"),
        Stage(op="mbconv", expand=2, kernel=3, stride=2, channels=16, layers=1, skip="pool"),
    )
    architecture = Architecture(resolution=32, classes=5, stem=8, stages=stages, head=16)
    source = to_source(architecture, "exported")
    assert "POOLED = {0: 1, 1: 2, 3: 2}" in source
    check(architecture)


def test_without_pooled_shortcuts_the_file_has_none() -> None:
    assert "Pool" not in to_source(Architecture.load("efficientnet-b0"), "exported")


@pytest.mark.parametrize("momentum", [0.1, 0.01])
def test_running_averages_follow_as_they_were_trained(momentum: float) -> None:
    trained = TrainedOn(
        pixel_mean=(1, 1, 1), pixel_std=(1, 1, 1), class_names=("a", "b"), input_size=8, batchnorm_momentum=momentum
    )
    assert f"momentum={momentum})" in to_source(SMALL, "exported", trained)
    assert "momentum=0.1)" in to_source(SMALL, "exported")


def test_plain_convolutions_and_deep_strides(timm: ModuleType) -> None:
    stages = (
        Stage(op="conv", kernel=3, channels=8, layers=2),
        Stage(op="conv", kernel=5, stride=2, channels=20, layers=2, skip="none"),
        *[Stage(op="mbconv", expand=1, kernel=3, stride=2, channels=c, layers=2, se=0.25) for c in (24, 28, 36, 40)],
    )
    check(Architecture(resolution=64, classes=5, stem=8, stages=stages, head=16, activation="relu6"))


def test_timm_that_builds_another_network(timm: ModuleType) -> None:
    with pytest.raises(NasError, match="timm builds another network from the exported strings"):
        run_in_timm(to_source(Architecture.load("efficientnet-b0"), "b0"), build_model(SMALL), images())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'timm'", name="timm"), r"timm is not installed: pip install 'nas-b0\["),
        (ModuleNotFoundError("No module named 'x'", name="x"), "timm is broken: No module named 'x'"),
        (RuntimeError("operator torchvision::nms does not exist"), "timm cannot be imported: operator torchvision"),
    ],
)
def test_timm_that_is_missing_or_broken(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(InputError, match=words):
        import_timm()
