import dataclasses
import os
from pathlib import Path

import pytest

from evaluator.full_recipe import RECIPES
from nas.commands.train import best_of_run, make_config
from nas.training.run import at_chance_lines, lacks_of, metrics_table, train_all
from search_space.errors import InputError
from tests.nas_small import SMALL

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
FAST = ["--epochs", "1", "--quiet", "--device", "cpu"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with three networks."""
    for rank, stem in enumerate((8, 16, 24), 1):
        (tmp_path / "run" / "top").mkdir(parents=True, exist_ok=True)
        text = dataclasses.replace(SMALL, stem=stem).to_yaml()
        (tmp_path / "run" / "top" / f"{rank:02d}.yaml").write_text(text)
    return tmp_path / "run"


def test_recipes_and_flags() -> None:
    config = make_config("efficientnet", {"epochs": 3, "mixup": 0.1, "data": "digits", "seed": None})
    assert (config.recipe.epochs, config.recipe.mixup, config.recipe.optimizer) == (3, 0.1, "rmsprop")
    assert make_config(None, {}).recipe.optimizer == "adamw"
    assert make_config(None, {"crop": "resized", "mirror": False}).recipe.crop == "resized"
    assert make_config(None, {"mirror": False}).mirror is False


def test_initial_weights_are_fine_tuned_unless_said_otherwise() -> None:
    assert make_config(None, {"init": "b0.pth"}).recipe == RECIPES["finetune"]
    assert make_config("light", {"init": "b0.pth"}).recipe == RECIPES["light"]
    assert make_config(None, {"init": "b0.pth", "freeze": True}).recipe.backbone_rate == 0
    for recipe, flags in (("finetune", {}), (None, {"freeze": True})):
        with pytest.raises(InputError, match="--recipe finetune and --freeze go with --init"):
            make_config(recipe, flags)


def test_weights_that_do_not_fit_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_text("no weights")
    config = make_config(None, {"init": str(tmp_path / "w.pt")})
    with pytest.raises(InputError, match=r"w.pt: not a weights file"):
        train_all({"": SMALL}, config, tmp_path / "out", "cpu", resume=False, quiet=True)
    assert not (tmp_path / "out").exists()


def test_what_a_recipe_lacks() -> None:
    assert lacks_of(None) == lacks_of("light") == ""
    assert "AutoAugment" in lacks_of("efficientnet")


def test_too_few_networks_in_a_run(run: Path) -> None:
    with pytest.raises(InputError, match="has 3 networks in its folder top, 4 are wanted"):
        best_of_run(run, 4)


def test_networks_that_guess_are_named() -> None:
    row = {"majority_share": 0.25, "validation_images": 100}
    metrics = {"01": {"validation_accuracy": 0.3, **row}, "02": {"validation_accuracy": 0.5, **row}}
    assert at_chance_lines(metrics) == [
        "01 has learned nothing: accuracies, 30.0% at best, are those of always answering the largest class (25.0%)"
    ]


def test_top_5_is_shown_where_there_is_one() -> None:
    row = {"validation_accuracy": 0.5, "test_accuracy": None, "macs": 1, "params": 1, "seconds": 60.0}
    old, few = metrics_table({"old": row}), metrics_table({"few": {**row, "validation_top5_accuracy": None}})
    assert [str(c.header) for c in old.columns] == [str(c.header) for c in few.columns]
    assert [str(c.header) for c in old.columns][:3] == ["network", "validation", "test"]
    many = metrics_table({"many": {**row, "validation_top5_accuracy": 0.875, "test_top5_accuracy": None}, "old": row})
    assert [str(c.header) for c in many.columns][1:5] == ["validation", "top-5", "test", "top-5"]
    assert list(many.columns[2].cells) == ["87.50%", "-"]


def test_what_is_known_of_the_data_is_said_before_they_are_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(None, {"epochs": 1, "resolution": 8, "mirror": True})
    metrics = train_all({"": SMALL}, config, tmp_path / "out", "cpu", resume=False, quiet=False)
    said = capsys.readouterr().err
    assert said.index("--no-mirror") < said.index("held-out images") < said.index("epoch 1/1")
    (row,) = metrics.values()
    assert (row["validation_images"], row["majority_share"]) == (150, pytest.approx(0.1, abs=0.01))
    train_all({"": SMALL}, config, tmp_path / "quiet", "cpu", resume=False, quiet=True)
    assert capsys.readouterr().err == ""
