"""Ray on this machine, or a cluster that is there already: joined, measured and left again.

A cluster of our own listens on the loopback address alone, wants a secret that lives as long as it does, and has no
dashboard and no telemetry.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass

from search_space.errors import InputError

_logger = logging.getLogger(__name__)
_CONNECT_SECS = 5.0  # until a cluster that does not answer counts as unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What evaluations may take."""

    workers: int
    """Evaluations at a time."""
    cpus: float
    """CPU cores an evaluation."""
    gpus: float
    """GPUs an evaluation; below 1 several share one."""


class Cluster:
    """A connection to Ray, and where it is our own, the cluster itself."""

    def __init__(
        self, *, address: str | None, workers: int | None, cpus: float, gpus: float | None, wants_gpu: bool
    ) -> None:
        """Start Ray on this machine, or connect to a running cluster; after `set_environment`.

        Args:
            address: ``auto`` or ``HOST:PORT`` of a running cluster; None to start one here.
            workers: Evaluations at a time; None for as many as fit.
            cpus: CPU cores an evaluation.
            gpus: GPUs an evaluation; None for a fair share of those there are.
            wants_gpu: Whether evaluations would use a GPU if they had one.

        Raises:
            InputError: Ray is not installed, the cluster cannot be reached, or it lacks what is asked for.
        """
        self._folder: str | None = None
        try:
            import ray
        except ImportError as error:
            raise InputError(f"--engine ray: {error}; install it with pip install 'ray[tune]'") from None
        assert not ray.is_initialized(), "a process has one Ray"
        self._ray = ray
        if address is None:
            self._start(workers, cpus)
        else:
            self._join(address)
        try:
            self.resources = _share(ray.cluster_resources(), workers, cpus, gpus, wants_gpu, own=address is None)
        except BaseException:
            self.close()
            raise

    def _start(self, workers: int | None, cpus: float) -> None:
        cores = os.cpu_count() or 1
        self._folder = tempfile.mkdtemp(prefix="nas-ray-")
        try:
            self._ray.init(
                address="local",
                num_cpus=max(cores, math.ceil((workers or 0) * cpus)),
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=_logger.isEnabledFor(logging.INFO),
                _temp_dir=self._folder,
            )
        except BaseException:
            self.close()
            raise

    def _join(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if "://" in address or (address != "auto" and not (host and port.isdigit())):
            raise InputError(f"--ray-address {address}: must be auto or HOST:PORT of the cluster's head")
        try:
            if host:
                # Ray itself would try for a minute, and then end the process.
                socket.create_connection((host, int(port)), timeout=_CONNECT_SECS).close()
            self._ray.init(
                address=address, logging_level=logging.ERROR, log_to_driver=_logger.isEnabledFor(logging.INFO)
            )
        except (OSError, RuntimeError, ValueError) as error:  # Ray's ConnectionError is an OSError
            why = str(error).splitlines()[0]
            raise InputError(f"--ray-address {address}: cannot reach a Ray cluster there: {why}") from None

    def close(self) -> None:
        """Leave the cluster; our own ends with all its processes and files."""
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def set_environment(*, local: bool) -> None:
    """Settings that Ray and Tune read from the environment, some of them when they are imported.

    Args:
        local: Whether Ray is to be started here, rather than a cluster joined.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # else Tune's thread could start a Ray of its own while ours ends
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths in a config mean the same for every engine
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # only the callbacks that were asked for
    # A worker that does not stop is killed then; below 10 s Tune would do nothing else until it has stopped.
    os.environ["TUNE_FORCE_TRIAL_CLEANUP_S"] = "11"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # else Tune prints a table whatever its verbosity
    if local and "ray" not in sys.modules:  # it reads these once
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the one switch that makes Ray listen on loopback alone
        os.environ["RAY_AUTH_MODE"] = "token"  # else any user of this machine could run code in our workers
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _share(
    total: dict[str, float], workers: int | None, cpus: float, gpus: float | None, wants_gpu: bool, *, own: bool
) -> Resources:
    """Divide what a cluster has."""
    num_gpus = total.get("GPU", 0.0)
    if gpus is None:
        gpus = min(1.0, num_gpus / workers if workers else 1.0) if wants_gpu and num_gpus else 0.0
    if own and gpus > num_gpus:
        raise InputError(f"--gpus-per-trial {gpus:g}: this machine has {num_gpus:g} GPUs")
    if workers is None:
        fit = [total.get("CPU", 0.0) / cpus] if cpus else []
        fit += [num_gpus / gpus] if gpus else []
        workers = math.floor(min(fit) + 1e-9) if fit else 1
        if workers < 1:
            has = f"{total.get('CPU', 0.0):g} CPUs and {num_gpus:g} GPUs"
            raise InputError(f"no evaluation fits: it asks for {cpus:g} CPUs and {gpus:g} GPUs, the cluster has {has}")
    return Resources(workers=workers, cpus=cpus, gpus=gpus)
