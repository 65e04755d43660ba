import importlib
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nas.train_progress import Curves, TrainProgress

ROW = {
    "epoch": 2,
    "loss": 1.25,
    "learning_rate": 0.1,
    "validation_accuracy": 0.5,
    "validation_loss": 1.0,
    "images_per_sec": 100.0,
    "seconds": 3.0,
}


def shown(*, quiet: bool = False, terminal: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    with TrainProgress("mine", 4, 1, quiet=quiet, console=console) as progress:
        progress.begin_epoch()
        progress.step(1, 50, 100, 1.5)
        progress.step(1, 100, 100, 1.25)
        progress.end_epoch(ROW)
    assert progress.images_per_sec > 0
    return text.getvalue()


def test_a_line_an_epoch_with_speed_and_time_left() -> None:
    line = shown()
    assert line.startswith("epoch 2/4  loss 1.250  validation 50.00%")
    assert "images/s" in line
    assert line.endswith("left\n")


def test_a_live_line_on_a_terminal_and_nothing_if_quiet() -> None:
    assert "epoch 2/4  loss 1.250" in shown(terminal=True)
    assert shown(quiet=True) == ""


def test_curves_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for done in (0, 1):
        curves = Curves(tmp_path, done)
        curves.add({**ROW, "epoch": done + 1})
        curves.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("validation_accuracy")] == [(1, 0.5), (2, 0.5)]


def test_no_tensorboard_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    curves = Curves(tmp_path, 0)
    curves.add(ROW)
    curves.close()
    assert curves.missing == "no TensorBoard curves: pip install 'nas-b0[tensorboard]'"
