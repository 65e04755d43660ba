from pathlib import Path

import pytest

from evaluator.data.trained_on import TrainedOn
from evaluator.weights import read_trained_on, to_bytes
from nas.commands.export import main
from nas.export import timm_file as export_timm
from search_space.builder import build_model
from search_space.errors import InputError
from tests.nas_small import SMALL


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
