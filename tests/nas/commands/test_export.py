import importlib.util
from pathlib import Path

import pytest
import torch

from evaluator.weights import to_bytes
from nas.commands.export import main
from nas.export import check as export_check
from search_space.architecture import Architecture
from search_space.builder import build_model
from tests.nas_small import SMALL
from tests.networks import images, pretend_trained


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a best network."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.yaml").write_text(SMALL.to_yaml(name="my run-3", metrics={"accuracy": 0.5}))
    return tmp_path / "run"


def test_yaml(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run), "--to", "yaml", "-o", str(tmp_path)]) == 0
    assert Architecture.load(tmp_path / "my-run-3.yaml") == SMALL
    assert "my-run-3.yaml" in capsys.readouterr().out


def test_torch_with_weights_loads_as_it_says(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = build_model(SMALL)
    pretend_trained(network)
    (tmp_path / "w").write_bytes(to_bytes(network, SMALL))
    assert main(["--run", str(run), "--to", "torch", "-o", str(tmp_path), "--weights", str(tmp_path / "w")]) == 0
    assert "checked in a clean process" in capsys.readouterr().out
    spec = importlib.util.spec_from_file_location("exported", tmp_path / "my_run_3.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load(str(tmp_path / "my-run-3.safetensors"))
    with torch.inference_mode():
        assert torch.equal(model(images()), network.eval()(images()))


def test_onnx_prints_size_and_latency(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["--run", str(run), "--to", "onnx", "-o", str(tmp_path), "--latency"]) == 0
    out = capsys.readouterr().out
    assert "K bytes" in out
    assert "ms an image in onnxruntime, one CPU thread, 32 pixels" in out
    assert "ms an image in PyTorch" in out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "name either FILE or --run RUN"),
        (["efficientnet-b0", "--run", "x"], "name either FILE or --run RUN"),
        (["efficientnet-b0", "--latency"], "--latency: goes with --to onnx"),
        (["efficientnet-b0", "--to", "yaml", "--weights", "w"], "--weights: a YAML file holds no weights"),
        (["efficientnet-b9"], "unknown architecture 'efficientnet-b9'"),
        (["efficientnet-b0", "--weights", "absent.pt"], "absent.pt: cannot be read"),
        (["--run", "absent"], "unknown architecture 'absent/best.yaml'"),
    ],
)
def test_wrong_input_is_one_line(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    to = [] if "--to" in flags else ["--to", "torch"]
    assert main([*flags, *to, "-o", "out"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("out").exists()


def test_nothing_is_overwritten_nor_half_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").write_bytes(to_bytes(build_model(SMALL), SMALL))
    (tmp_path / "my-run-3.safetensors").write_text("mine")
    flags = ["--run", str(run), "--to", "torch", "-o", str(tmp_path), "--weights", str(tmp_path / "w")]
    assert main(flags) == 2
    assert "exists already; nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "my-run-3.safetensors").read_text() == "mine"
    assert not (tmp_path / "my_run_3.py").exists()
    (tmp_path / "my-run-3.safetensors").unlink()
    monkeypatch.setattr(export_check, "run_clean", lambda source, network, images: torch.zeros(2, 5))
    assert main(flags) == 1
    assert "gives other outputs" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "w"]
