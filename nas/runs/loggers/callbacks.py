"""W&B, MLflow, Ray Tune's loggers and callbacks of a user's own, told of trials whatever engine evaluates them.

https://docs.ray.io/en/latest/tune/api/callbacks.html
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from nas.engines import ray_cluster
from nas.history import Trial
from search_space.decision import Space
from search_space.errors import InputError, one_line
from search_space.io import named

_logger = logging.getLogger(__name__)
FOLDER = "tune"
"""Where callbacks that write files do, in the run's directory."""
CALLBACKS = {
    "mlflow": "nas.runs.loggers.trackers:Mlflow",
    "wandb": "nas.runs.loggers.trackers:Wandb",
}
"""Those that have a name; they read their usual environment variables."""


@dataclass(eq=False)
class _TuneTrial:
    """A trial as a callback of Tune's sees it: what its documented loggers read of one."""

    trial_id: str
    config: dict[str, Any]
    local_path: str
    experiment_dir_name: str
    checkpoint: None = None
    evaluated_params: dict[str, Any] = field(default_factory=dict)

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return f"{self.experiment_dir_name}_{self.trial_id}"


class Callbacks:
    """Tells Tune's callbacks of each trial as it finishes. Use as a context manager."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Make the callbacks; after the engine, since some of them use its Ray.

        Args:
            path: The run's directory.
            names: Of `CALLBACKS`, or ``package.module:Class`` derived from ``ray.tune.Callback``.

        Raises:
            InputError: No such callback, or it cannot be made.
        """
        ray_cluster.set_environment(local=True)  # before Ray is imported for the first time
        self._path = path
        self._callbacks = {name: _make(name, path) for name in names}
        self._trials: list[_TuneTrial] = []

    def update(self, trial: Trial, space: Space) -> None:
        """Tell of a trial that has just finished; its config is what it chose in the space."""
        found = trial.evaluation
        assert found is not None
        choices = {d.name: d.choices[token] for d, token in zip(space.decisions, trial.tokens, strict=True)}
        folder = self._path / FOLDER / f"{trial.number:05d}"
        told = _TuneTrial(f"{trial.number:05d}", choices, str(folder), self._path.resolve().name)
        told.evaluated_params = choices
        self._trials.append(told)
        result = {
            "training_iteration": 1,
            "accuracy": found.accuracy,
            "reward": trial.reward if trial.ok else None,
            "macs": trial.macs,
            "params": trial.params,
            "seconds": found.seconds,
            "status": found.status,
        }
        result = {name: value for name, value in result.items() if value is not None}
        where = {"iteration": trial.number, "trials": self._trials, "trial": told}
        end = "on_trial_complete" if trial.ok else "on_trial_error"
        for name in list(self._callbacks):
            self._tell(name, "on_trial_start", **where)
            self._tell(name, "on_trial_result", **where, result=result)
            self._tell(name, end, **where)

    def _tell(self, name: str, what: str, **info: Any) -> None:
        """Tell a callback; one that fails costs the search nothing, and is told no more."""
        if (callback := self._callbacks.get(name)) is None:
            return
        try:
            getattr(callback, what)(**info)
        except Exception as error:  # noqa: BLE001 - another library's: a server that is gone, a full disk
            _logger.warning("--callback %s: %s; it is told no more", name, one_line(str(error) or type(error).__name__))
            del self._callbacks[name]

    def __enter__(self) -> Callbacks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for name in list(self._callbacks):
            self._tell(name, "on_experiment_end", trials=self._trials)


def _make(name: str, path: Path) -> Any:
    cls, _ = named.load_object("callback", name, CALLBACKS)
    try:
        callback = cls()
        callback.setup(experiment_path=str(path / FOLDER))
    except Exception as error:  # noqa: BLE001 - another library's: a missing package, key or project
        raise InputError(f"--callback {name}: {one_line(str(error))}") from None
    return callback
