"""The flags that say where evaluations run, shared by all commands that run any."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Any

from nas.engines import ray_cluster
from nas.engines.base import Engine
from nas.engines.local import LocalEngine
from search_space import named
from search_space.errors import InputError

CALLBACKS = {
    "tensorboard": "ray.tune.logger:TBXLoggerCallback",
    "wandb": "ray.air.integrations.wandb:WandbLoggerCallback",
    "mlflow": "ray.air.integrations.mlflow:MLflowLoggerCallback",
}
"""Ways to watch a run, by name."""

_DEFAULTS: dict[str, Any] = {
    "workers": None,
    "ray_address": None,
    "cpus_per_trial": 1.0,
    "gpus_per_trial": None,
    "max_failures": 3,
    "callback": [],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the engine's group of flags; `make_engine` reads them."""
    group = parser.add_argument_group("where networks are evaluated")
    group.add_argument("--engine", choices=("local", "ray"), default="local", help="this process, or Ray workers")
    group.add_argument("--workers", type=int, metavar="N", help="ray: evaluations at a time (default: all that fit)")
    group.add_argument("--ray-address", metavar="ADDRESS", help="ray: a running cluster, auto or HOST:PORT")
    group.add_argument("--cpus-per-trial", type=float, metavar="N", help="ray: cores an evaluation (default: 1)")
    group.add_argument(
        "--gpus-per-trial", type=float, metavar="N", help="ray: GPUs an evaluation, e.g. 0.25 (default: a fair share)"
    )
    group.add_argument(
        "--max-failures", type=int, metavar="N", help="ray: tries after a worker died under a network (default: 3)"
    )
    group.add_argument(
        "--callback", action="append", metavar="NAME", help=f"ray: {', '.join(CALLBACKS)}, or package.module:Class"
    )


def make_engine(args: argparse.Namespace, evaluator_class: type, evaluator_config: Any, folder: Path) -> Engine:
    """The engine that the flags ask for, started.

    Args:
        args: What a parser with `add_arguments` gave.
        evaluator_class: Made once a worker, from `evaluator_config`.
        evaluator_config: Its `timeout` and `device`, where it has them, count for the engine too.
        folder: The run's directory; callbacks write into its ``tune`` folder.

    Raises:
        InputError: Flags that contradict each other, Ray missing or unreachable, or an evaluator that cannot be made.
    """
    given = {name: value for name in _DEFAULTS if (value := getattr(args, name)) is not None}
    if args.engine == "local":
        if given:
            raise InputError(f"--{next(iter(given)).replace('_', '-')}: needs --engine ray")
        return LocalEngine(evaluator_class(evaluator_config))
    flags = _DEFAULTS | given
    for name, least in (("workers", 1), ("cpus_per_trial", 0), ("gpus_per_trial", 0), ("max_failures", 0)):
        if flags[name] is not None and not flags[name] >= least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {flags[name]}")
    ray_cluster.set_environment(local=flags["ray_address"] is None)
    callbacks = [_callback(name) for name in flags["callback"]]
    cluster = ray_cluster.Cluster(
        address=flags["ray_address"],
        workers=flags["workers"],
        cpus=flags["cpus_per_trial"],
        gpus=flags["gpus_per_trial"],
        wants_gpu=getattr(evaluator_config, "device", "cpu") != "cpu",
    )
    try:
        from nas.engines.ray_tune import RayEngine  # imports Ray, which must wait for its settings

        return RayEngine(
            cluster,
            functools.partial(evaluator_class, evaluator_config),
            timeout=getattr(evaluator_config, "timeout", None),
            max_failures=flags["max_failures"],
            callbacks=callbacks,
            folder=folder / "tune" if callbacks else None,
        )
    except BaseException:
        cluster.close()
        raise


def _callback(name: str) -> Any:
    cls, _ = named.load_object("callback", name, CALLBACKS)
    try:
        return cls()
    except (ImportError, RuntimeError, ValueError) as error:
        raise InputError(f"--callback {name}: {str(error).splitlines()[0]}") from None
