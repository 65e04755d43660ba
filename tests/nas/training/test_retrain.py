import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image

from evaluator.full_recipe import RECIPES
from nas import config
from nas.commands.search import main
from nas.training.retrain import check, keep_winner, retrain
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import strict_yaml
from tests.nas_small import SMALL
from tests.parents import five


def settings(evaluator: object = "proxy") -> config.SearchConfig:
    return config.resolve([{"target_flops": "400M", "evaluator": evaluator, "top": 3}])


@pytest.mark.parametrize("count", [0, 4, -1])
def test_more_than_the_run_keeps(count: int) -> None:
    with pytest.raises(InputError, match=f"--retrain {count}: must be from 1 to 3"):
        check(count, settings())


def test_no_images() -> None:
    with pytest.raises(InputError, match="has no images to train on"):
        check(1, settings({"name": "tests.toys:ToyEvaluator"}))
    check(None, settings({"name": "tests.toys:ToyEvaluator"}))
    check(3, settings())


def test_it_trains_what_the_run_kept_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "top").mkdir()
    for rank in ("01", "02"):
        (tmp_path / "top" / f"{rank}.yaml").write_text(SMALL.to_yaml())
    short = make_short(monkeypatch)
    metrics = retrain(3, settings(), tmp_path, quiet=True)
    assert sorted(metrics) == ["01", "02"]
    assert json.loads((tmp_path / "trained" / "02" / "metrics.json").read_text())["history"][-1]["epoch"] == short
    assert retrain(3, settings(), tmp_path, quiet=True) == metrics


def make_short(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the light recipe take one epoch."""
    monkeypatch.setitem(RECIPES, "light", dataclasses.replace(RECIPES["light"], epochs=1))
    return 1


def test_the_search_refuses_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--target-flops", "400M", "--run-dir", str(tmp_path / "run"), "--retrain", "9", "--quiet"]
    assert main(flags) == 2
    assert "--retrain 9: must be from 1 to 5" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_search_that_retrains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_short(monkeypatch)
    flags = ["--target-flops", "400M", "--trials", "2", "--batch", "2", "--epochs", "1", "--quiet"]
    assert main([*flags, "--run-dir", str(tmp_path / "run"), "--retrain", "2"]) == 0
    assert {path.name for path in (tmp_path / "run" / "trained").iterdir()} == {"01", "02"}


def test_without_test_images_there_is_no_test_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (16, 16), (30 * number, 90, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "01.yaml").write_text(dataclasses.replace(SMALL, classes=2).to_yaml())
    make_short(monkeypatch)
    images = {"data": f"folder:{tmp_path / 'photos'}", "resolution": 16, "cache_dir": str(tmp_path / "cache")}
    metrics = retrain(1, settings({"name": "proxy", **images}), tmp_path, quiet=True)
    assert [row["test_accuracy"] for row in metrics.values()] == [None]
    (written,) = (tmp_path / "trained").rglob("metrics.json")
    assert json.loads(written.read_text())["test_accuracy"] is None


def test_it_trains_in_no_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "run" / "top").mkdir(parents=True)
    (tmp_path / "run" / "top" / "01.yaml").write_text(SMALL.to_yaml())
    (tmp_path / "outside").mkdir()
    (tmp_path / "run" / "trained").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="trained: is a link"):
        retrain(1, settings(), tmp_path / "run", quiet=True)
    assert not list((tmp_path / "outside").iterdir())


def test_the_winner_of_a_final_keeps_its_weights(tmp_path: Path) -> None:
    digits = {"name": "proxy", "epochs": 1, "batch_size": 32, "max_images": 400, "learning_rate": 0.003}
    asked = dataclasses.replace(settings(digits), final=1, final_longer=4)
    folder = keep_winner(SMALL, asked, tmp_path, quiet=True)
    assert folder == tmp_path / "final" / "trained" / SMALL.key
    assert (folder / "network.safetensors").stat().st_size > 0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["history"]) == 1  # 4 of 400 images are one of 1,438
    recipe = strict_yaml.load((folder / "config.yaml").read_text(), "config")["recipe"]
    assert (recipe["epochs"], recipe["batch_size"], recipe["learning_rate"]) == (1, 32, 0.003)
    assert keep_winner(SMALL, asked, tmp_path, quiet=True) == folder
    assert keep_winner(SMALL, settings({"name": "tests.toys:ToyEvaluator"}), tmp_path, quiet=True) is None


def test_a_winner_that_inherited_is_fine_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    five(tmp_path / "w.safetensors")
    (tmp_path / "small.yaml").write_text(SMALL.to_yaml())
    checkpoint = {"inherit": str(tmp_path / "w.safetensors"), "parent": str(tmp_path / "small.yaml")}
    proxy = {"name": "proxy", "epochs": 1, "max_images": 100, **checkpoint}
    said = dataclasses.replace(settings(proxy), final_longer=1)
    folder = keep_winner(SMALL, said, tmp_path, quiet=True)
    assert folder is not None
    trained = strict_yaml.load((folder / "config.yaml").read_text(), "config")
    assert (trained["init"], trained["parent"]) == tuple(checkpoint.values())
    assert trained["recipe"]["backbone_rate"] == RECIPES["finetune"].backbone_rate


def test_a_folder_is_seen_as_the_search_saw_it_where_that_says_no_size(tmp_path: Path) -> None:
    """Networks of a space of one's own: of several resolutions, which the search's images have not."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40, 30), (90, 9 * number, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "run" / "top").mkdir(parents=True)
    for rank, side in enumerate((48, 96), 1):
        network = dataclasses.replace(SMALL, resolution=side, classes=1000)
        (tmp_path / "run" / "top" / f"{rank:02d}.yaml").write_text(network.to_yaml())
    evaluator = {"name": "proxy", "data": f"folder:{tmp_path / 'photos'}", "device": "cpu"}
    own = settings(evaluator)
    assert own.classes is None
    retrain(2, own, tmp_path / "run", quiet=True)
    found = [Architecture.load(tmp_path / "run" / "trained" / name / "network.yaml") for name in ("01", "02")]
    assert [network.resolution for network in found] == [64, 64]
