from __future__ import annotations

import time

import pytest
import torch

from evaluator.base import DeviceLost
from evaluator.data.dataset import Images
from evaluator.device import resources
from evaluator.device.resources import is_out_of_memory, out_of_memory, pick_device, seconds_of_training, threads
from evaluator.recipe import Recipe
from evaluator.training import Trainer
from search_space.builder import build_model
from search_space.errors import InputError
from tests.nas_small import SMALL

DATA = Images(torch.zeros(100, 3, 16, 16, dtype=torch.uint8), torch.arange(100) % 5)
INDEX = torch.arange(100)


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == pick_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="device must be cpu or auto where there is no CUDA device, got 'cuda'"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == pick_device("cuda").type == "cuda"
    assert pick_device("cpu").type == "cpu"


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("shapes differ"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error: Exception, wanted: bool) -> None:
    assert is_out_of_memory(error) is wanted
    if wanted:
        assert out_of_memory(error, torch.device("cpu")).status == "infeasible"
    else:
        with pytest.raises(type(error), match=str(error)):
            out_of_memory(error, torch.device("cpu"))


def test_after_an_error_of_cuda_itself_the_device_is_lost() -> None:
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might")
    with pytest.raises(DeviceLost, match=r"^cuda failed, .*: CUDA error: an illegal memory access was encountered$"):
        out_of_memory(error, torch.device("cuda"))


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
        clock[0] += 3.0 if len(steps) > resources.WARM_UP_STEPS else 100.0
        return torch.zeros(())

    def score(self: Trainer, data: Images, index: torch.Tensor) -> None:
        clock[0] += 0.5 * len(index)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(Trainer, "score", score)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    recipe = Recipe(epochs=epochs, batch_size=batch_size)
    found = seconds_of_training(build_model(SMALL), DATA, INDEX[:80], INDEX[80:], recipe, mirror=False)
    assert found == pytest.approx(wanted)
    assert steps == [min(batch_size, 80)] * (resources.WARM_UP_STEPS + resources.STEPS)


def test_a_real_training_is_timed() -> None:
    assert seconds_of_training(build_model(SMALL), DATA, INDEX[:80], INDEX[80:], Recipe(), mirror=True) > 0
