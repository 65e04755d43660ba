from pathlib import Path

import pytest

from nas.commands.export import main
from nas.export import timm_file as export_timm
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
