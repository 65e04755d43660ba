"""Scalars of a search for TensorBoard: accuracy, reward and cost a trial, the controller's signals a batch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import TracebackType
from typing import Any

from nas.study import Study, Trial
from search_space.errors import InputError

FOLDER = "tensorboard"
"""Where the scalars are, in the run's directory."""


def check_installed() -> None:
    """Refuse before any work.

    Raises:
        InputError: TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard: not installed; pip install nas-b0[tensorboard]")


class ScalarWriter:
    """Writes what a study finds as it finds it. Use as a context manager.

    A resumed run adds to what is there: a trial is written by the process in which it finished.
    """

    def __init__(self, path: Path, study: Study) -> None:
        """Begin a file of events.

        Args:
            path: The run's directory.
            study: The search.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._study = study
        self._batches = len(study.signals)
        self._writer: Any = SummaryWriter(str(path / FOLDER))

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
