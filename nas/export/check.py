"""Whether what was exported computes what our network computes.

Compared in float64: in float32 the order of sums alone moves the outputs of a deep network by 1e-5 of the largest.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from evaluator.weights import load_weights
from search_space.architecture import Architecture
from search_space.builder import Network, build_model
from search_space.errors import NasError


def prepare(
    architecture: Architecture, weights: Path | None, eps: float | None, max_side: int
) -> tuple[Network, torch.Tensor]:
    """The network to export, in evaluation mode, and two images of noise to compare outputs on.

    Args:
        architecture: What to build.
        weights: File of its weights; None leaves it untrained.
        eps: BatchNorm's eps that the weights were made with; None for the file's own.
        max_side: Largest side of the images, pixels.

    Raises:
        InputError: The weights cannot be read, or are another network's.
    """
    network = build_model(architecture)
    side = min(architecture.resolution, max_side)
    images = _noise(2, side)
    if weights is not None:
        load_weights(network, architecture, weights, eps)
    else:
        _calibrate(network, _noise(16, min(side, 64)))
    return network.eval(), images


def _noise(count: int, side: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


@torch.no_grad()
def _calibrate(network: Network, images: torch.Tensor) -> None:
    """Give an untrained network the BatchNorm statistics of the images.

    Without them the signal dies out on its way (B0: outputs of 1e-5), and any two networks would look alike.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = norms[0].momentum
    network.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    network(images)
    for norm in norms:
        norm.momentum = usual


def run_clean(source: str, network: Network, images: torch.Tensor) -> torch.Tensor:
    """Import a PyTorch file in a clean process, give its `Network` the weights of ours, and run it.

    Returns:
        Its outputs (batch, classes), float64.

    Raises:
        NasError: The file does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "network.py").write_text(source)
        weights = copy.deepcopy(network).double().state_dict()
        torch.save({"weights": weights, "images": images.double()}, Path(folder, "given.pt"))
        command = [sys.executable, "-I", "-W", "error", "-c", _PROBE, folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NasError(f"the exported PyTorch file does not run: {done.stderr.strip().splitlines()[-1]}")
        outputs: torch.Tensor = torch.load(Path(folder, "outputs.pt"), weights_only=True)
    return outputs


_PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
import network
given = torch.load(sys.argv[1] + "/given.pt", weights_only=True)
model = network.Network().double().eval()
model.load_state_dict(given["weights"])
with torch.inference_mode():
    torch.save(model(given["images"]), sys.argv[1] + "/outputs.pt")
"""


def output_difference(
    what: str, outputs: torch.Tensor, network: Network, images: torch.Tensor, tolerance: float
) -> float:
    """The largest difference of `outputs` from the network's, as a share of its largest output.

    Raises:
        NasError: It is above the tolerance.
    """
    with torch.inference_mode():
        wanted = copy.deepcopy(network).double().eval()(images.double())
    difference = float((outputs - wanted).abs().max() / wanted.abs().max().clamp_min(1e-6))
    if not difference <= tolerance:
        raise NasError(f"{what} gives other outputs than the network: they differ by {difference:.1e}")
    return difference
