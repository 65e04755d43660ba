"""From what a user asks for to a running engine."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nas.engines import ray_cluster
from nas.engines.base import Engine
from nas.engines.local import LocalEngine
from search_space.errors import InputError
from search_space.io import named

CALLBACKS = {
    "tensorboard": "ray.tune.logger:TBXLoggerCallback",
    "wandb": "ray.air.integrations.wandb:WandbLoggerCallback",
    "mlflow": "ray.air.integrations.mlflow:MLflowLoggerCallback",
}
"""Ways to watch a run, by name."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where evaluations run. None means that nothing was asked for.

    Raises:
        InputError: Options of Ray for another engine, or out of range.
    """

    engine: Literal["local", "ray"] = "local"
    """This process, or Ray workers."""
    workers: int | None = None
    """Evaluations at a time; all that fit if None."""
    ray_address: str | None = None
    """A running cluster, ``auto`` or ``HOST:PORT``; one of our own if None."""
    cpus_per_trial: float | None = None
    """CPU cores an evaluation; 1 if None."""
    gpus_per_trial: float | None = None
    """GPUs an evaluation; a fair share if None."""
    max_failures: int | None = None
    """Tries after a worker died under a network; 3 if None."""
    callback: tuple[str, ...] | None = None
    """Names of `CALLBACKS`, or ``package.module:Class``."""

    def __post_init__(self) -> None:
        ray = ("workers", "ray_address", "cpus_per_trial", "gpus_per_trial", "max_failures", "callback")
        given = [name for name in ray if getattr(self, name) is not None]
        if self.engine == "local" and given:
            raise InputError(f"{_flag(given[0])}: needs --engine ray")
        for name, least in (("workers", 1), ("cpus_per_trial", 0), ("gpus_per_trial", 0), ("max_failures", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"{_flag(name)} must be at least {least}, got {value}")


def make_engine(options: EngineOptions, evaluator_class: type, evaluator_config: Any, folder: Path) -> Engine:
    """The engine that was asked for, started.

    Args:
        options: What was asked for.
        evaluator_class: Made once a worker, from `evaluator_config`.
        evaluator_config: Its `timeout` and `device`, where it has them, count for the engine too.
        folder: The run's directory; callbacks write into its ``tune`` folder.

    Raises:
        InputError: Ray missing or unreachable, or an evaluator that cannot be made.
    """
    if options.engine == "local":
        return LocalEngine(evaluator_class(evaluator_config))
    ray_cluster.set_environment(local=options.ray_address is None)
    callbacks = [_callback(name) for name in options.callback or ()]
    cluster = ray_cluster.Cluster(
        address=options.ray_address,
        workers=options.workers,
        cpus=1.0 if options.cpus_per_trial is None else options.cpus_per_trial,
        gpus=options.gpus_per_trial,
        wants_gpu=getattr(evaluator_config, "device", "cpu") != "cpu",
    )
    try:
        from nas.engines.ray_tune import RayEngine  # imports Ray, which must wait for its settings

        return RayEngine(
            cluster,
            functools.partial(evaluator_class, evaluator_config),
            timeout=getattr(evaluator_config, "timeout", None),
            max_failures=3 if options.max_failures is None else options.max_failures,
            callbacks=callbacks,
            folder=folder / "tune" if callbacks else None,
        )
    except BaseException:
        cluster.close()
        raise


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _callback(name: str) -> Any:
    cls, _ = named.load_object("callback", name, CALLBACKS)
    try:
        return cls()
    except (ImportError, RuntimeError, ValueError) as error:
        raise InputError(f"--callback {name}: {str(error).splitlines()[0]}") from None
