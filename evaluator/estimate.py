"""How long a training takes, from some of its steps."""

from __future__ import annotations

import time

import torch
from torch import nn

from evaluator.data.dataset import Images
from evaluator.training import SCORE_BATCH, Recipe, Trainer, channel_statistics

WARM_UP_STEPS = 2  # the first ones allocate memory and choose kernels
STEPS = 3
"""Steps that are timed, unless the training has fewer."""


def seconds_of_training(
    model: nn.Module, data: Images, train: torch.Tensor, validation: torch.Tensor, recipe: Recipe, *, mirror: bool
) -> float:
    """Seconds that `evaluator.training.fit` would take; the arguments are its own.

    Trains some steps and scores one batch: the network changes.
    """
    trainer = Trainer(model, channel_statistics(data.images), recipe, mirror)
    generator = torch.Generator(data.device).manual_seed(0)
    batch_size = min(recipe.batch_size, len(train))
    batch = data[train[:batch_size]]
    model.train()
    for _ in range(WARM_UP_STEPS):
        float(trainer.step(batch, generator))
    start = time.monotonic()
    for _ in range(STEPS):
        batch = data[train[:batch_size]]
        float(trainer.step(batch, generator))  # a GPU is waited for
    step = (time.monotonic() - start) / STEPS
    scored = validation[:SCORE_BATCH]
    start = time.monotonic()
    trainer.score(data, scored)
    score = (time.monotonic() - start) / len(scored)
    return recipe.epochs * (len(train) // batch_size * step + len(validation) * score)
