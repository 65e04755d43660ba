"""From what a user asks for to a running engine."""

from __future__ import annotations

import functools
import importlib
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from evaluator.base import Evaluator
from nas.engines import ray_cluster
from nas.engines.base import Engine
from nas.engines.local import LocalEngine
from search_space.errors import InputError
from search_space.io import named

_RAY_ONLY = ("ray_address", "cpus_per_trial", "gpus_per_trial", "max_failures")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where evaluations run. None means that nothing was asked for.

    Raises:
        InputError: Options of Ray for another engine, or out of range.
    """

    engine: Literal["local", "ray"] | None = None
    """This process, or Ray workers; None for Ray where evaluations take long and several fit."""
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

    def __post_init__(self) -> None:
        if self.engine == "local":
            given = ["workers"] if self.workers not in (None, 1) else []
            given += [name for name in _RAY_ONLY if getattr(self, name) is not None]
            if given:
                raise InputError(f"{_flag(given[0])}: not with --engine local, which is this one process")
        for name, least in (("workers", 1), ("max_failures", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"{_flag(name)} must be at least {least}, got {value}")
        for name in ("cpus_per_trial", "gpus_per_trial"):
            value = getattr(self, name)
            # What Ray can divide resources into; neither inf nor nan.
            if value is not None and not (0.0001 <= value <= 1 or (0 <= value < math.inf and value % 1 == 0)):
                raise InputError(f"{_flag(name)} must be a share from 0.0001 to 1 or a whole number, got {value:g}")


def count_workers(options: EngineOptions, evaluator_class: type[Evaluator[Any]], evaluator_config: Any) -> int:
    """How many evaluations `make_engine` will run at a time, without starting any; the arguments are its own.

    Raises:
        InputError: A cluster that cannot be reached, or no worker fits.
    """
    request = _request(options, evaluator_class, evaluator_config)
    if not _uses_ray(options, evaluator_class, request):
        return 1
    if options.workers is not None:
        return options.workers
    if options.ray_address is None:
        return ray_cluster.share(request, [ray_cluster.this_machine(request)], own=True).workers
    ray_cluster.set_environment(local=False)
    with closing(ray_cluster.Cluster(options.ray_address, request)) as cluster:
        return cluster.resources.workers


def make_engine(options: EngineOptions, evaluator_class: type[Evaluator[Any]], evaluator_config: Any) -> Engine:
    """The engine that was asked for, started.

    Args:
        options: What was asked for.
        evaluator_class: Made once a worker, from `evaluator_config`.
        evaluator_config: The evaluator's `time_limit` and `wants_gpu` for it count for the engine too.

    Raises:
        InputError: Ray missing or unreachable, or an evaluator that cannot be made.
        NasError: Ray cannot be started, or no worker can make the evaluator.
    """
    request = _request(options, evaluator_class, evaluator_config)
    if not _uses_ray(options, evaluator_class, request):
        return LocalEngine(evaluator_class(evaluator_config), evaluator_class.time_limit(evaluator_config))
    ray_cluster.set_environment(local=options.ray_address is None)
    given = named.given([getattr(evaluator_config, "data", None)])
    with _loading_torch():
        cluster = ray_cluster.Cluster(options.ray_address, request)
        try:
            from nas.engines.ray_actors import RayEngine  # imports Ray, which must wait for its settings

            return RayEngine(
                cluster,
                functools.partial(_make, evaluator_class, evaluator_config, given),
                timeout=evaluator_class.time_limit(evaluator_config),
                max_failures=3 if options.max_failures is None else options.max_failures,
            )
        except BaseException:
            cluster.close()
            raise


def _make(evaluator_class: type[Evaluator[Any]], evaluator_config: Any, given: Mapping[str, Any]) -> Evaluator[Any]:
    """The evaluator in a worker, where the user's own objects come along: a notebook's cannot be imported there."""
    named.remember(given)
    return evaluator_class(evaluator_config)


@contextmanager
def _loading_torch() -> Iterator[None]:
    """Let PyTorch load while Ray and its workers start, which is mostly waiting here.

    With its compiler, which its optimizers load whether anything is compiled or not: it takes a second, in which
    workers would wait for the controller's first.
    """
    loading = threading.Thread(target=importlib.import_module, args=("torch._dynamo",))
    loading.start()
    try:
        yield
    finally:
        loading.join()


def _request(options: EngineOptions, evaluator_class: type[Evaluator[Any]], config: Any) -> ray_cluster.Request:
    return ray_cluster.Request(
        workers=options.workers,
        cpus=1.0 if options.cpus_per_trial is None else options.cpus_per_trial,
        gpus=options.gpus_per_trial,
        wants_gpu=evaluator_class.wants_gpu(config),
    )


def _uses_ray(options: EngineOptions, evaluator_class: type[Evaluator[Any]], request: ray_cluster.Request) -> bool:
    """Whether Ray was asked for, or several workers fit and evaluations take longer than a look-up."""
    if options.engine is not None:
        return options.engine == "ray"
    if any(getattr(options, name) is not None for name in _RAY_ONLY):
        return True
    if evaluator_class.is_lookup or options.workers == 1:
        return False
    if options.workers is not None:
        return True
    return ray_cluster.share(request, [ray_cluster.this_machine(request)], own=True).workers > 1


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
