import copy
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from evaluator.data.trained_on import TrainedOn
from evaluator.weights import load_weights, read_trained_on, to_bytes
from nas.commands.export import main
from nas.export import onnx_file
from nas.export import timm_file as export_timm
from nas.export.torch_file import to_source
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.cost import count
from search_space.errors import InputError
from tests.nas_small import SMALL
from tests.networks import images, pretend_trained


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a best network."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.yaml").write_text(SMALL.to_yaml(name="my run-3", metrics={"accuracy": 0.5}))
    return tmp_path / "run"


def test_timm_is_written_even_where_it_cannot_be_checked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise InputError("timm is not installed: pip install 'nas-b0[export]'")

    monkeypatch.setattr(export_timm, "import_timm", fail)
    assert main(["--run", str(run), "--to", "timm", "-o", str(tmp_path)]) == 0
    assert '["ir_r2_k5_s2_e3_c16"],' in (tmp_path / "my_run_3_timm.py").read_text()
    assert "not checked: timm is not installed" in capsys.readouterr().out


def test_timm_is_checked(run: Path, tmp_path: Path, timm: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run), "--to", "timm", "-o", str(tmp_path)]) == 0
    assert "checked in timm: outputs differ by at most" in capsys.readouterr().out


TRAINED = TrainedOn(
    pixel_mean=(120.5, 110.25, 100.0),
    pixel_std=(60.0, 61.0, 62.0),
    class_names=("a", "b", "c", "d", "e"),
    input_size=32,
    batchnorm_momentum=0.05,
)


@pytest.mark.parametrize("to", ["torch", "onnx"])
def test_what_weights_were_trained_on_goes_with_the_network(to: str, run: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(to_bytes(build_model(SMALL), SMALL, TRAINED))
    if to == "onnx":
        pytest.importorskip("onnxruntime")
    assert main(["--run", str(run), "--to", to, "--weights", str(weights), "-o", str(tmp_path / "out")]) == 0
    if to == "torch":
        text = (tmp_path / "out" / "my_run_3.py").read_text()
        assert "PIXEL_MEAN = [120.5, 110.25, 100.0]" in text
        assert "momentum=0.05" in text
        assert read_trained_on(tmp_path / "out" / "my-run-3.safetensors", 5) == TRAINED
    else:
        import onnx

        model = onnx.load(tmp_path / "out" / "my-run-3.onnx")
        assert {prop.key: prop.value for prop in model.metadata_props} == TRAINED.to_metadata()


def _counted(network: nn.Module) -> tuple[int, int]:
    """Multiply-adds of convolutions and linear layers on 224 pixels, and parameters, of any network."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network(torch.empty(1, 3, 224, 224, device=next(network.parameters()).device))
    return counter.get_total_flops() // 2, sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet-18", "resnet-50", "mobilenet-v2"])
def test_networks_of_torchvision_through_every_format(name: str, timm: ModuleType, tmp_path: Path) -> None:
    """Same integers and same outputs: as we count and build it, from YAML, as a torch file, as ONNX."""
    pytest.importorskip("onnxruntime")
    models: Any = importlib.import_module("torchvision.models")
    make = getattr(models, {"mobilenet-v2": "mobilenet_v2"}.get(name, name.replace("-", "")))
    architecture = Architecture.from_yaml(Architecture.load(name).to_yaml(name=name))
    assert architecture == Architecture.load(name)
    with torch.device("meta"):
        counted = _counted(make(weights=None).eval())
    cost = count(architecture)
    assert (cost.macs, cost.params) == counted
    theirs = make(weights=None)
    pretend_trained(theirs)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    network = build_model(architecture)
    load_weights(network, architecture, tmp_path / "theirs.pth")
    batch = images(2, 64)
    with torch.inference_mode():
        wanted = theirs.double().eval()(batch.double())
        reach = 1e-5 * float(wanted.abs().max())
        torch.testing.assert_close(copy.deepcopy(network).double().eval()(batch.double()), wanted, atol=reach, rtol=0)
        names: dict[str, Any] = {}
        exec(to_source(architecture, "exported"), names)  # our own text
        exported = names["Network"]().double().eval()
        exported.load_state_dict(network.state_dict())
        torch.testing.assert_close(exported(batch.double()), wanted, atol=reach, rtol=0)
    session = onnx_file.open_session(onnx_file.to_bytes(network.eval(), batch, {}))
    found = onnx_file.run(session, batch)
    torch.testing.assert_close(found.double(), wanted, atol=10 * reach, rtol=0)  # float32: the order of sums differs
