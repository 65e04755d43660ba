import importlib
from typing import Any

import pytest
import torch

from nas.export import onnx_file as export_onnx
from nas.export.check import output_difference
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.errors import InputError
from tests.nas_small import SMALL
from tests.networks import RESIDUAL, images, pretend_trained, random_networks


def check(architecture: Architecture) -> Any:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = build_model(architecture)
    pretend_trained(network)
    session = export_onnx.open_session(export_onnx.to_bytes(network, images(), {}))
    for batch in (1, 3):
        output_difference("ONNX", export_onnx.run(session, images(batch)), network, images(batch), 1e-4)
    return session


def test_names_and_open_batch() -> None:
    session = check(SMALL)
    assert [(x.name, x.shape) for x in session.get_inputs()] == [("images", ["batch", 3, 32, 32])]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [("logits", ["batch", 5])]


SPACES = ["mnasnet", "efficientnet", "accel-nasbench"]


def test_what_rides_along() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    given = {"class_names": '["cat", "dog"]', "input_size": "32"}
    session = export_onnx.open_session(export_onnx.to_bytes(build_model(SMALL), images(), given))
    assert session.get_modelmeta().custom_metadata_map == given


def test_a_random_network() -> None:
    (architecture,) = random_networks("mnasnet", 1, seed=4)
    check(architecture)


def test_layers_of_resnets() -> None:
    check(RESIDUAL)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_twenty_random_networks(space: str) -> None:
    for architecture in random_networks(space, 20, seed=1):
        check(architecture)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet-b0", "mnasnet-a1"])
def test_reference_networks(name: str) -> None:
    check(Architecture.load(name))


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        if name == missing:
            raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(InputError, match=rf"^{missing} is needed for ONNX: pip install 'nas-b0\[export\]'"):
        export_onnx.import_onnx()


def test_training_goes_on_after_an_export() -> None:
    pytest.importorskip("onnx")
    network = build_model(SMALL)
    export_onnx.to_bytes(network, images(), {})
    network.train()(images()).sum().backward()
    assert all(isinstance(p.grad, torch.Tensor) for p in network.parameters())
