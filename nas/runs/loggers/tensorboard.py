"""Scalars for TensorBoard: of a search by trial and batch, of a training by epoch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import TracebackType
from typing import Any

from nas.history import Trial
from nas.journal import refuse_link
from nas.study import Study
from search_space.errors import InputError

FOLDER = "tensorboard"
"""Where the scalars are, in the directory of a run or a training."""
INSTALL = "pip install 'nas-b0[tensorboard]'"


def is_installed() -> bool:
    """Whether there is TensorBoard, which is an extra."""
    return importlib.util.find_spec("tensorboard") is not None


def check_installed() -> None:
    """Refuse before any work.

    Raises:
        InputError: TensorBoard is not installed.
    """
    if not is_installed():
        raise InputError(f"--tensorboard: not installed; {INSTALL}")


def _open(folder: Path, purge_step: int | None = None) -> Any:
    """A file of events in `folder`; from `purge_step` on, what earlier files there say no longer counts."""
    from torch.utils.tensorboard import SummaryWriter  # fails where the extra is missing

    refuse_link(folder)
    return SummaryWriter(str(folder), purge_step=purge_step)


class ScalarWriter:
    """Writes what a study finds as it finds it: accuracy, reward and cost a trial, the controller's signals a batch.

    Use as a context manager.

    A resumed run adds to what is there: a trial is written by the process in which it finished.
    """

    def __init__(self, path: Path, study: Study) -> None:
        """Begin a file of events.

        Args:
            path: The run's directory.
            study: The search.
        """
        self._study = study
        self._batches = len(study.signals)
        self._writer = _open(path / FOLDER)

    def update(self, trial: Trial) -> None:
        """Write a trial that has just finished, and the batches that were learned from since the last one."""
        assert trial.evaluation is not None
        scalars: dict[str, float | None] = {"macs": trial.macs, "seconds": trial.evaluation.seconds}
        if trial.ok:
            scalars |= {"accuracy": trial.evaluation.accuracy, "reward": trial.reward}
        if self._study.best is not None:
            scalars["best_reward"] = self._study.best.reward
        for name, value in scalars.items():
            self._writer.add_scalar(f"trial/{name}", value, trial.number)
        self._write_signals()

    def _write_signals(self) -> None:
        for batch, signals in enumerate(self._study.signals[self._batches :], self._batches):
            for name, value in signals.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"controller/{name}", value, batch)
        self._batches = len(self._study.signals)
        self._writer.flush()

    def __enter__(self) -> ScalarWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._write_signals()
        self._writer.close()


class Curves:
    """Writes a training's numbers by epoch, where TensorBoard is installed."""

    def __init__(self, folder: Path, epochs_done: int) -> None:
        """Write into `folder`; what a killed training wrote after its checkpoint is dropped."""
        self.missing = "" if is_installed() else f"no TensorBoard curves: {INSTALL}"
        self._writer = None if self.missing else _open(folder, epochs_done + 1)

    def add(self, row: dict[str, Any]) -> None:
        """One epoch's numbers."""
        if self._writer is not None:
            for name in ("loss", "learning_rate", "validation_accuracy", "validation_loss", "images_per_sec"):
                self._writer.add_scalar(name, row[name], row["epoch"])
            self._writer.flush()

    def close(self) -> None:
        """No more numbers come."""
        if self._writer is not None:
            self._writer.close()
