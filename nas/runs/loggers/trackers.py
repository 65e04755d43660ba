"""W&B and MLflow by their own libraries, told of a search's trials whatever engine evaluates them.

Each trial is a run of theirs: its choices are the run's config or parameters, its results the metrics. Where runs go is
what the libraries' own environment variables say: WANDB_MODE, WANDB_PROJECT, WANDB_API_KEY, MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME. The methods are those of Ray Tune's callbacks (nas/runs/loggers/callbacks.py).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from search_space.errors import InputError

INSTALL = "pip install 'nas-b0[trackers]'"
LOCAL = ("offline", "disabled", "dryrun")
"""Values of WANDB_MODE that ask nothing of its server."""
MOST_PARAMETERS = 100
"""That MLflow takes at once."""


class Tracker:
    """What both have in common: the search's name, and nothing to do at a trial's start and at the end."""

    def setup(self, experiment_path: str) -> None:
        """Begin; where files may be written, below the run's directory."""
        self._folder = Path(experiment_path)
        self._name = self._folder.resolve().parent.name

    def on_trial_start(self, **info: Any) -> None:
        """Nothing: a trial is told of when it has finished."""

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Tell of a trial that has finished; `result` has numbers and the status."""
        raise NotImplementedError

    def on_trial_complete(self, **info: Any) -> None:
        """Nothing: the result said so."""

    def on_trial_error(self, **info: Any) -> None:
        """Nothing: the result said so."""

    def on_experiment_end(self, **info: Any) -> None:
        """Nothing: each trial's run has ended."""


class Wandb(Tracker):
    """A W&B run a trial, all in a group of the search's name."""

    def setup(self, experiment_path: str) -> None:
        """Log in, so that a missing key is said before any work."""
        super().setup(experiment_path)
        try:
            import wandb  # an extra
        except ModuleNotFoundError:
            raise InputError(f"not installed; {INSTALL}") from None
        self._wandb = wandb
        if os.environ.get("WANDB_MODE") not in LOCAL:
            wandb.login()

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Begin a run, log, end it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        run = self._wandb.init(
            group=self._name,
            name=f"{self._name}-{trial.trial_id}",
            config=trial.config,
            dir=str(self._folder),
            reinit="finish_previous",
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        run.log({name: value for name, value in result.items() if isinstance(value, int | float)})
        run.summary["status"] = result["status"]
        run.finish(exit_code=0 if result["status"] == "ok" else 1)


class Mlflow(Tracker):
    """An MLflow run a trial, all in an experiment of the search's name."""

    def setup(self, experiment_path: str) -> None:
        """Find or make the experiment, so that a server that does not answer is said before any work."""
        super().setup(experiment_path)
        try:
            from mlflow.tracking import MlflowClient  # an extra
        except ModuleNotFoundError:
            raise InputError(f"not installed; {INSTALL}") from None
        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", self._name)
        known = self._client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else self._client.create_experiment(name)

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Create a run, log, end it."""
        from mlflow.entities import Metric, Param, RunTag

        run = self._client.create_run(self._experiment, run_name=f"{self._name}-{trial.trial_id}").info.run_id
        now, step = int(1000 * time.time()), int(trial.trial_id)
        numbers = {name: value for name, value in result.items() if isinstance(value, int | float)}
        metrics = [Metric(name, float(value), now, step) for name, value in numbers.items()]
        self._client.log_batch(run, metrics=metrics, tags=[RunTag("status", result["status"])])
        params = [Param(name, str(value)) for name, value in trial.config.items()]
        for first in range(0, len(params), MOST_PARAMETERS):
            self._client.log_batch(run, params=params[first : first + MOST_PARAMETERS])
        self._client.set_terminated(run, "FINISHED" if result["status"] == "ok" else "FAILED")
