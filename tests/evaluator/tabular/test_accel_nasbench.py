import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from evaluator.tabular.accel_nasbench import read
from search_space.architecture import Architecture
from search_space.errors import InputError


def network(expand: int, accuracy: float) -> dict[str, Any]:
    choices = {"e": expand, "k": 3, "l": 2, "se": True}
    architecture = {f"block{i}_{field}": value for i in range(7) for field, value in choices.items()}
    return {"architecture": architecture, "metrics": {"val_top1": accuracy}, "model_info": {"macs": 415.1468}}


def archive(folder: Path, networks: list[Any]) -> Path:
    path = folder / "anb_dataset_jsons.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for i, value in enumerate(networks):
            text = json.dumps(value).encode()
            info = tarfile.TarInfo(f"./anb_dataset_jsons/result_{i}.json")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return path


def test_reads_what_was_published(tmp_path: Path) -> None:
    path = archive(tmp_path, [network(1, 50.0), network(6, 61.5)])
    first, second = read(tmp_path)
    assert read(path) == [first, second]
    assert (second.accuracy, second.macs) == (0.615, 415_146_800)
    assert [stage.expand for stage in second.architecture.stages] == [6] * 7
    assert [stage.channels for stage in second.architecture.stages] == [16, 24, 40, 80, 112, 192, 320]
    assert first.architecture.key != second.architecture.key != Architecture.load("efficientnet-b0").key


def test_what_is_not_the_data_set_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not readable as Accel-NASBench's"):
        read(tmp_path / "absent.tar.gz")
    with pytest.raises(InputError, match="KeyError"):
        read(archive(tmp_path, [{"architecture": {}}]))
    infinite = {**network(1, 1.0), "model_info": {"macs": float("inf")}}
    for wrong in ([1], network(1, float("nan")), network(1, 101.0), infinite):
        with pytest.raises(InputError, match="not readable"):
            read(archive(tmp_path, [wrong]))
    with pytest.raises(InputError, match="no network in it"):
        read(archive(tmp_path, []))


def test_a_truncated_archive_is_one_line(tmp_path: Path) -> None:
    path = archive(tmp_path, [network(1, 50.0)] * 50)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="not readable as"):
            read(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="or than 1,000,000 bytes in one"):
        read(archive(tmp_path, [{"x": "a" * 2_000_000}]))
    monkeypatch.setattr("evaluator.tabular.accel_nasbench.MOST_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        read(archive(tmp_path, [network(1, 50.0)] * 4))
