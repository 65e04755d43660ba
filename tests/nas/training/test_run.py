import dataclasses
import os
from pathlib import Path

import pytest

from nas.commands.train import best_of_run, make_config
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


def test_too_few_networks_in_a_run(run: Path) -> None:
    with pytest.raises(InputError, match="has 3 networks in its folder top, 4 are wanted"):
        best_of_run(run, 4)
