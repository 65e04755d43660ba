from pathlib import Path

import pytest
import torch

from evaluator.weights import to_bytes
from nas.export.check import output_difference, prepare, run_clean
from search_space.builder import build_model
from search_space.errors import NasError
from tests.nas_small import SMALL


def test_untrained_networks_have_outputs_worth_comparing() -> None:
    network, images = prepare(SMALL, None, None, 32)
    with torch.inference_mode():
        assert network(images).abs().max() > 0.05
    assert network.bn1.momentum == 0.01
    assert not network.training


def test_weights_are_taken_as_they_are(tmp_path: Path) -> None:
    source = build_model(SMALL, generator=torch.Generator().manual_seed(5))
    (tmp_path / "w.safetensors").write_bytes(to_bytes(source, SMALL))
    network, images = prepare(SMALL, tmp_path / "w.safetensors", None, 16)
    assert images.shape == (2, 3, 16, 16)
    assert torch.equal(network.conv_stem.weight, source.conv_stem.weight)


def test_other_outputs_are_an_error() -> None:
    network, images = prepare(SMALL, None, None, 32)
    with torch.inference_mode():
        outputs = network(images)
    assert output_difference("it", outputs, network, images, 1e-5) < 1e-5
    with pytest.raises(NasError, match="it gives other outputs than the network: they differ by"):
        output_difference("it", outputs + 0.1 * outputs.abs().max(), network, images, 1e-5)
    with pytest.raises(NasError, match="they differ by nan"):
        output_difference("it", outputs * torch.nan, network, images, 1e-5)


def test_a_file_that_does_not_run() -> None:
    network, images = prepare(SMALL, None, None, 32)
    with pytest.raises(NasError, match="does not run: ValueError: no"):
        run_clean("raise ValueError('no')", network, images)
