import dataclasses
import json
from pathlib import Path

import pytest
import torch

from evaluator.full_recipe import RECIPES
from nas.training.folder import TrainConfig, TrainFolder
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.nas_small import SMALL

CONFIG = TrainConfig(data="digits", recipe=RECIPES["efficientnet"], init="b0.pth", bn_eps=1e-5)


def test_settings_and_network_come_back(tmp_path: Path) -> None:
    TrainFolder(tmp_path / "t").begin(CONFIG, SMALL, resume=False)
    again = TrainFolder(tmp_path / "t")
    assert again.config() == CONFIG
    assert again.architecture() == SMALL
    again.begin(CONFIG, SMALL, resume=True)


def test_what_is_there_is_not_touched_unless_resumed_alike(tmp_path: Path) -> None:
    folder = TrainFolder(tmp_path / "t")
    folder.begin(CONFIG, SMALL, resume=False)
    with pytest.raises(InputError, match="exists already; add --resume"):
        folder.begin(CONFIG, SMALL, resume=False)
    other = dataclasses.replace(CONFIG, seed=3, recipe=dataclasses.replace(CONFIG.recipe, epochs=2))
    with pytest.raises(InputError, match=r"begun with other settings: .*seed 0, not 3; epochs 350, not 2"):
        folder.begin(other, SMALL, resume=True)
    with pytest.raises(InputError, match="begun with another network"):
        folder.begin(CONFIG, dataclasses.replace(SMALL, stem=16), resume=True)
    elsewhere = dataclasses.replace(CONFIG, data="folder:photos")  # whose classes make another network of it
    with pytest.raises(InputError, match=r"begun with other settings: data digits, not folder:photos"):
        folder.begin(elsewhere, dataclasses.replace(SMALL, classes=7), resume=True)


def test_a_resume_of_nothing_begins(tmp_path: Path) -> None:
    folder = TrainFolder(tmp_path / "t")
    folder.begin(CONFIG, SMALL, resume=True)
    assert folder.config() == CONFIG
    assert folder.load_checkpoint(torch.device("cpu")) is None
    assert folder.finished() is None


def test_checkpoints(tmp_path: Path) -> None:
    folder = TrainFolder(tmp_path)
    folder.save_checkpoint({"x": torch.ones(2), "history": [{"epoch": 1}]})
    state = folder.load_checkpoint(torch.device("cpu"))
    assert state is not None
    assert state["history"] == [{"epoch": 1}]
    assert torch.equal(state["x"], torch.ones(2))
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    for damaged in (whole[:300], b"", b"no checkpoint"):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(InputError, match=r"checkpoint.pt: damaged"):
            folder.load_checkpoint(torch.device("cpu"))
    torch.save({"format": "other"}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint.pt: not a checkpoint"):
        folder.load_checkpoint(torch.device("cpu"))


def test_results_lie_side_by_side(tmp_path: Path) -> None:
    folder = TrainFolder(tmp_path)
    metrics = {"macs": 1, "params": 2, "validation_accuracy": 0.5, "test_accuracy": 0.4, "seconds": 3.0}
    folder.finish(b"weights", SMALL, metrics)
    assert folder.finished() == metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert (tmp_path / "network.safetensors").read_bytes() == b"weights"
    assert Architecture.load(tmp_path / "network.yaml") == SMALL
    assert "test_accuracy: 0.4" in (tmp_path / "network.yaml").read_text()


@pytest.mark.parametrize("text", ["", "format: nas-search/1\n", "- 1\n"])
def test_damaged_settings(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training was begun here"):
        TrainFolder(tmp_path).config()
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match="not the settings of a training"):
        TrainFolder(tmp_path).config()


@pytest.mark.parametrize(
    ("field", "value"), [("validation_share", 1.0), ("resolution", 4), ("seed", -1), ("bn_eps", 0.0)]
)
def test_settings_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{field} must be .*, got {value}"):
        TrainConfig(**{field: value})  # type: ignore[arg-type]


def test_without_initial_weights_nothing_learns_slowly() -> None:
    with pytest.raises(InputError, match="--recipe finetune and --freeze go with --init"):
        TrainConfig(recipe=RECIPES["finetune"])


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"test_accuracy": "x", "macs": 1}'])
def test_damaged_metrics_are_one_line(text: str, tmp_path: Path) -> None:
    folder = TrainFolder(tmp_path)
    folder.metrics.write_text(text)
    with pytest.raises(InputError, match=r"metrics\.json: damaged"):
        folder.finished()
