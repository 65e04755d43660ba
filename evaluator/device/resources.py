"""What a training takes: a device, threads, memory, time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from evaluator.base import DeviceLost, Evaluation
from evaluator.data.dataset import Images
from evaluator.data.statistics import channel_statistics
from evaluator.device.captured import CAPTURE_STEPS, make_step
from evaluator.recipe import Recipe
from evaluator.training import SCORE_BATCH, Trainer
from search_space.errors import InputError

WARM_UP_STEPS = 2  # the first ones allocate memory and choose kernels
STEPS, STEPS_ON_GPU = 3, 20
"""Steps that are timed."""


def pick_device(name: str) -> torch.device:
    """The device of a name: ``auto`` is a GPU if there is one.

    Raises:
        InputError: ``cuda`` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device must be cpu or auto where there is no CUDA device, got 'cuda'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use so many CPU threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def out_of_memory(error: Exception, device: torch.device) -> Evaluation:
    """What to say of a network that there is no memory for; any other error is raised again.

    Raises:
        DeviceLost: CUDA has failed. After an illegal access or a failed assertion every later call fails too, so
            another process must go on.
    """
    if not is_out_of_memory(error):
        if isinstance(error, torch.AcceleratorError):
            why = str(error).partition("\n")[0]
            raise DeviceLost(f"{device.type} failed, and this process cannot use it any more: {why}") from error
        raise error
    said = str(error) or type(error).__name__
    reason = f"out of memory on {device.type}: {said.splitlines()[0]}"
    return Evaluation(status="infeasible", reason=reason)


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has an exception of its own; the CPU allocator raises a RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "allocate memory" in str(error) or "out of memory" in str(error)


def seconds_of_training(
    model: nn.Module,
    data: Images,
    train: torch.Tensor,
    validation: torch.Tensor,
    recipe: Recipe,
    *,
    mirror: bool,
    captured: bool = True,
) -> float:
    """Seconds that `evaluator.training.fit` would take; the arguments are its own.

    Trains some steps and scores one batch: the network changes.
    """
    trainer = Trainer(model, channel_statistics(data.images), recipe, mirror)
    generator = torch.Generator(data.device).manual_seed(0)
    step = make_step(lambda batch: trainer.step(batch, generator), trainer.optimizer, generator, captured)
    batch_size = min(recipe.batch_size, len(train))
    model.train()
    on_gpu = data.device.type == "cuda"
    warm_up, steps = (CAPTURE_STEPS, STEPS_ON_GPU) if on_gpu else (WARM_UP_STEPS, STEPS)
    for _ in range(warm_up):
        loss = step(data[train[:batch_size]])
    float(loss)  # a GPU is waited for
    start = time.monotonic()
    for _ in range(steps):
        loss = step(data[train[:batch_size]])
    float(loss)
    seconds = (time.monotonic() - start) / steps
    scored = validation[:SCORE_BATCH]
    start = time.monotonic()
    trainer.score(data, scored)
    score = (time.monotonic() - start) / len(scored)
    return recipe.epochs * (len(train) // batch_size * seconds + len(validation) * score)
