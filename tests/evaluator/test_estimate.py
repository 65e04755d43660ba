from __future__ import annotations

import time

import pytest
import torch

from evaluator import estimate
from evaluator.data.dataset import Images
from evaluator.estimate import seconds_of_training
from evaluator.training import Recipe, Trainer
from search_space.builder import build_model
from tests.nas_small import SMALL

DATA = Images(torch.zeros(100, 3, 16, 16, dtype=torch.uint8), torch.arange(100) % 5)
INDEX = torch.arange(100)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "wanted"),
    [(2, 10, 2 * (8 * 3.0 + 20 * 0.5)), (1, 64, 1 * (1 * 3.0 + 20 * 0.5)), (3, 999, 3 * (1 * 3.0 + 20 * 0.5))],
)
def test_steps_and_scores_are_counted_as_the_training_has_them(
    epochs: int, batch_size: int, wanted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 3 s and a scored image half a second by a clock of our own; the first steps take longer."""
    clock, steps = [0.0], []

    def step(self: Trainer, batch: Images, generator: torch.Generator) -> torch.Tensor:
        steps.append(len(batch))
        clock[0] += 3.0 if len(steps) > estimate.WARM_UP_STEPS else 100.0
        return torch.zeros(())

    def score(self: Trainer, data: Images, index: torch.Tensor) -> None:
        clock[0] += 0.5 * len(index)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(Trainer, "score", score)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    recipe = Recipe(epochs=epochs, batch_size=batch_size)
    found = seconds_of_training(build_model(SMALL), DATA, INDEX[:80], INDEX[80:], recipe, mirror=False)
    assert found == pytest.approx(wanted)
    assert steps == [min(batch_size, 80)] * (estimate.WARM_UP_STEPS + estimate.STEPS)


def test_a_real_training_is_timed() -> None:
    assert seconds_of_training(build_model(SMALL), DATA, INDEX[:80], INDEX[80:], Recipe(), mirror=True) > 0
