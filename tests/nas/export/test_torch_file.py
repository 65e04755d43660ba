import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas.export.check import output_difference, run_clean
from nas.export.torch_file import to_source
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from tests.networks import images, pretend_trained, random_networks

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


@pytest.mark.parametrize("name", ["efficientnet-b0", "mnasnet-a1", "mobilenet-v2"])
def test_reference_networks(name: str) -> None:
    check(Architecture.load(name))


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


@pytest.mark.parametrize("width", ["88", "120"])
def test_the_file_is_formatted(width: str, tmp_path: Path) -> None:
    sources = [to_source(architecture, "x") for architecture in random_networks("mnasnet", 5)]
    sources += [to_source(PLAIN, "x"), to_source(Architecture.load("efficientnet-b0"), "x")]
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
