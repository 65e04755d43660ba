"""What a person sees while a network is trained: a live line on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from search_space.io.amounts import format_clock

NARROW, WIDE = 80, 110
"""Columns of a terminal from which the live line shows the loss, and the speed as well."""


class TrainProgress:
    """Shows epochs, loss, validation accuracy, images a second and time left. Use as a context manager."""

    def __init__(self, title: str, epochs: int, done: int, *, quiet: bool, console: Console | None = None) -> None:
        """Show a training of `epochs`, of which `done` are done; nothing at all if `quiet`."""
        self.epochs = epochs
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self._begun = time.monotonic()
        self._first = float(done)
        self._epoch_begun = self._begun
        self._rate = 0.0
        self._scores: list[float] = []
        columns = (
            TextColumn(title, markup=False),
            BarColumn(bar_width=20 if self.console.width >= WIDE else 6),
            TextColumn("{task.description}", markup=False),
        )
        self._live = Progress(*columns, console=self.console, disable=quiet or not self.console.is_terminal)
        self._task = self._live.add_task("", total=epochs, completed=done)

    def begin_epoch(self) -> None:
        """An epoch's training begins."""
        self._epoch_begun = time.monotonic()

    def step(self, epoch: int, done: int, total: int, loss: float) -> None:
        """`done` of `total` images of the epoch are trained on."""
        self._rate = done / max(1e-9, time.monotonic() - self._epoch_begun)
        self._show(epoch + 1, epoch + done / total, loss)

    def end_epoch(self, row: dict[str, Any]) -> None:
        """An epoch is trained, scored and saved."""
        self._scores.append(row["validation_accuracy"])
        self._show(row["epoch"], row["epoch"], row["loss"])
        if not self.quiet and not self.console.is_terminal:
            position = row["epoch"]
            text = f"epoch {position}/{self.epochs}  loss {row['loss']:.3f}{self._scored()}"
            self.console.print(f"{text}  {self._speed(position)}", markup=False, highlight=False, soft_wrap=True)

    def _show(self, epoch: int, position: float, loss: float) -> None:
        """The live line, as much of it as the terminal has room for."""
        width = self.console.width
        loss_text = f"  loss {loss:.3f}" if width >= NARROW else ""
        pace = self._speed(position) if width >= WIDE else self._left(position)
        text = f"epoch {epoch}/{self.epochs}{loss_text}{self._scored()}  {pace}"
        self._live.update(self._task, completed=position, description=text)

    @property
    def images_per_sec(self) -> float:
        """Of the training of the current or last epoch."""
        return self._rate

    def _scored(self) -> str:
        """Validation accuracy of the last epoch and the best so far."""
        return f"  validation {self._scores[-1]:.2%} (best {max(self._scores):.2%})" if self._scores else ""

    def _speed(self, position: float) -> str:
        return f"{self._rate:.0f} images/s  {self._left(position)}"

    def _left(self, position: float) -> str:
        pace = (time.monotonic() - self._begun) / max(1e-9, position - self._first)
        return f"{format_clock(round(pace * (self.epochs - position)))} left"

    def __enter__(self) -> TrainProgress:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()
