import io

import pytest
from rich.console import Console

from nas.training.progress import TrainProgress

ROW = {
    "epoch": 2,
    "loss": 1.25,
    "validation_accuracy": 0.5,
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
    assert line.startswith("epoch 2/4  loss 1.250  validation 50.00% (best 50.00%)")
    assert "images/s" in line
    assert line.endswith("left\n")


def test_a_live_line_on_a_terminal_and_nothing_if_quiet() -> None:
    assert "epoch 2/4  loss 1.250" in shown(terminal=True)
    assert shown(quiet=True) == ""


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, "epoch 3/4  loss 1.500  validation 50.00% (best 70.00%)  "),
        (80, "epoch 3/4  loss 1.500  validation 50.00% (best 70.00%)  0:00 left"),
        (64, "epoch 3/4  validation 50.00% (best 70.00%)  0:00 left"),
    ],
)
def test_the_live_line_shows_the_last_accuracy_and_the_best_so_far(width: int, shown: str) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width)
    with TrainProgress("mine", 4, 0, quiet=False, console=console) as progress:
        for epoch, accuracy in enumerate((0.7, 0.5)):
            progress.begin_epoch()
            progress.step(epoch, 100, 100, 1.5)
            progress.end_epoch({**ROW, "epoch": epoch + 1, "validation_accuracy": accuracy})
        progress.step(2, 50, 100, 1.5)
    assert shown in text.getvalue()


def test_the_last_line_has_the_last_epochs_accuracy() -> None:
    text = io.StringIO()
    with TrainProgress(
        "mine", 2, 1, quiet=False, console=Console(file=text, force_terminal=True, width=80)
    ) as progress:
        progress.begin_epoch()
        progress.step(1, 100, 100, 1.5)
        progress.end_epoch({**ROW, "validation_accuracy": 0.625})
    assert "epoch 2/2  loss 1.250  validation 62.50% (best 62.50%)  0:00 left" in text.getvalue()
