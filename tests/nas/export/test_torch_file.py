import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evaluator.data.trained_on import TrainedOn
from nas.export.check import output_difference, run_clean
from nas.export.torch_file import to_source
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from tests.networks import RESIDUAL, TINY, images, pretend_trained, random_networks

SPACES = ["mnasnet", "efficientnet", "accel-nasbench"]


def check(architecture: Architecture) -> None:
    """The file, run in this process, gives the network's outputs with the network's weights."""
    network = build_model(architecture)
    pretend_trained(network)
    names: dict[str, object] = {}
    exec(to_source(architecture, "exported"), names)  # our own text
    model = names["Network"]().double().eval()  # type: ignore[operator]
    model.load_state_dict(network.state_dict())
    with torch.inference_mode():
        output_difference("the file", model(images().double()), network, images(), 1e-5)


@pytest.mark.parametrize("name", ["efficientnet-b0", "mnasnet-a1", "mobilenet-v2", "resnet-18"])
def test_reference_networks(name: str) -> None:
    check(Architecture.load(name))


def test_small_images() -> None:
    check(TINY)
    assert "stride=1)" in to_source(TINY, "tiny")


def test_layers_of_resnets() -> None:
    check(RESIDUAL)
    source = to_source(RESIDUAL, "residual")
    assert "max_pool2d" in source
    assert "conv_head" not in source
    assert "#" + "HEAD" not in source


@pytest.mark.parametrize("space", SPACES)
def test_random_networks(space: str) -> None:
    for architecture in random_networks(space, 2):
        check(architecture)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_twenty_random_networks(space: str) -> None:
    networks = random_networks(space, 20, seed=1)
    for architecture in networks:
        check(architecture)
    if space != "accel-nasbench":
        layers = [layer for network in networks for row in network.stage_layers() for layer in row]
        assert {layer.op for layer in layers} == {"conv", "mbconv"}
        assert {layer.skip for layer in layers} == {"none", "identity", "pool"}


PLAIN = Architecture(
    resolution=32,
    classes=5,
    stem=8,
    stages=(Stage(op="conv", kernel=3, channels=8, skip="none"), Stage(op="conv", kernel=5, stride=2, channels=12)),
    head=16,
    activation="relu6",
)


def test_what_is_not_used_is_left_out() -> None:
    source = to_source(PLAIN, "plain")
    for word in ("SqueezeExcite", "Separable", "MBConv", "AvgPool2d", "Identity", "import torch\n"):
        assert word not in source
    check(PLAIN)


TRAINED = TrainedOn(
    pixel_mean=(125.3069, 122.9504, 113.8654),
    pixel_std=(62.9932, 62.0887, 66.7049),
    class_names=("cat", 'say "no"', "it's", 'x"""y\n\'z', "\u00e9\udc80\\", ""),
    input_size=224,
    batchnorm_momentum=0.1,
)


def run(source: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(source, names)  # our own text
    return names


def test_the_file_says_how_its_network_was_trained_whatever_classes_are_called() -> None:
    names = run(to_source(PLAIN, "plain", TRAINED))
    assert names["CLASS_NAMES"] == list(TRAINED.class_names)
    assert (names["PIXEL_MEAN"], names["PIXEL_STD"]) == (list(TRAINED.pixel_mean), list(TRAINED.pixel_std))
    assert names["INPUT_SIZE"] == 224  # as trained, not as the architecture says
    pixels = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (TRAINED.pixel_mean, TRAINED.pixel_std))
    assert torch.allclose(names["normalise"](pixels), (pixels.float() - mean) / std)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("trained_on", "momentum"), [(None, 0.1), (dataclasses.replace(TRAINED, batchnorm_momentum=0.01), 0.01)]
)
def test_running_averages_follow_as_they_were_trained(trained_on: TrainedOn | None, momentum: float) -> None:
    """Untrained networks get the default recipe's: the papers' 0.01 needs hundreds of steps."""
    model = run(to_source(PLAIN, "plain", trained_on))["Network"]()  # type: ignore[operator]
    assert {module.momentum for module in model.modules() if hasattr(module, "momentum")} == {momentum}


@pytest.mark.parametrize("width", ["88", "120"])
def test_the_file_is_formatted(width: str, tmp_path: Path) -> None:
    sources = [to_source(architecture, "x") for architecture in random_networks("mnasnet", 5)]
    plain_names = dataclasses.replace(TRAINED, class_names=("cat", 'say "no"', "x" * 100))
    sources += [
        to_source(PLAIN, "x", plain_names),
        to_source(PLAIN, "x"),
        to_source(Architecture.load("efficientnet-b0"), "x"),
    ]
    for i, source in enumerate(sources):
        (tmp_path / f"network{i}.py").write_text(source)
    for command in (["format", "--check", "--line-length", width], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_a_clean_process_runs_it_and_needs_only_torch() -> None:
    network = build_model(PLAIN)
    pretend_trained(network)
    source = to_source(PLAIN, "plain")
    network.eval()
    assert output_difference("the file", run_clean(source, network, images()), network, images(), 1e-5) <= 1e-5
    imports = [line.strip() for line in source.splitlines() if line.strip().startswith(("import ", "from "))]
    assert imports == ["from torch import Tensor, nn", "from torch.nn import functional", *imports[2:]]
    assert imports[2:] == ["from safetensors.torch import load_file"]
