"""Ray on this machine, or a cluster that is there already: joined, measured and left again.

A cluster of our own listens on the loopback address alone, wants a secret that lives as long as it does, and has no
dashboard and no telemetry.
"""

from __future__ import annotations

import glob
import logging
import math
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from search_space.errors import InputError, NasError
from search_space.io.files import lock

_logger = logging.getLogger(__name__)
_PREFIX, _IN_USE = "nas-ray-", "in-use"
_CONNECT_SECS = 5.0  # until a cluster that does not answer counts as unreachable
_LONGEST_FOLDER = 38  # bytes: Ray adds 64 for its sockets, whose paths may have 103 on some systems


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for."""

    workers: int | None = None
    """Evaluations at a time; None for as many as fit."""
    cpus: float = 1.0
    """CPU cores an evaluation."""
    gpus: float | None = None
    """GPUs an evaluation; None for a fair share of those there are."""
    wants_gpu: bool = False
    """Whether evaluations would use a GPU if they had one."""


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

    def __init__(self, address: str | None, request: Request) -> None:
        """Start Ray on this machine, or connect to a running cluster; after `set_environment`.

        Args:
            address: ``auto`` or ``HOST:PORT`` of a running cluster; None to start one here.
            request: What evaluations are to take of it.

        Raises:
            InputError: Ray is not installed, the cluster cannot be reached, or it lacks what is asked for.
            NasError: Ray cannot be started here.
        """
        self._folder: str | None = None
        if address is None:
            machine = this_machine(request)
            self.resources = share(request, [machine], own=True)
        try:
            import ray
        except ImportError as error:
            raise InputError(f"--engine ray: {error}; install it with pip install 'ray[tune]'") from None
        if ray.is_initialized():
            raise InputError("--engine ray: this process uses Ray already; call ray.shutdown() first")
        self._ray = ray
        try:
            if address is None:
                self._start(machine)
            else:
                self._join(address)
                nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
                self.resources = share(request, nodes, own=False)
        except BaseException:
            self.close()
            raise

    def _start(self, machine: Mapping[str, float]) -> None:
        parent = _short_folder()
        clear(parent)
        self._folder = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        self._held = hold(self._folder)
        try:
            with _importable():
                self._ray.init(
                    address="local",
                    # More workers than cores is the user's choice.
                    num_cpus=max(int(machine["CPU"]), math.ceil(self.resources.workers * self.resources.cpus)),
                    num_gpus=int(machine["GPU"]),
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=_logger.isEnabledFor(logging.INFO),
                    _temp_dir=self._folder,
                )
        except Exception as error:  # Ray raises what it likes
            why = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            raise NasError(f"Ray could not be started here: {why}") from error

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
        except (self._ray.exceptions.RayError, OSError, RuntimeError, ValueError, OverflowError) as error:
            why = str(error).splitlines()[0]
            raise InputError(f"--ray-address {address}: cannot reach a Ray cluster there: {why}") from None

    def close(self) -> None:
        """Leave the cluster; our own ends with all its processes and files."""
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._held.close()


def hold(folder: str) -> IO[bytes]:
    """Mark a folder as in use, until the file that is returned is closed or this process dies."""
    new = os.path.join(folder, "new")
    file = open(new, "wb")
    lock(file.fileno(), wait=True)
    os.rename(new, os.path.join(folder, _IN_USE))  # no other process sees it before it is locked
    return file


def clear(parent: str) -> None:
    """Delete the folders that killed processes of this user have left."""
    own = os.getuid() if hasattr(os, "getuid") else 0
    for folder in glob.glob(os.path.join(glob.escape(parent), f"{_PREFIX}*")):
        with suppress(OSError):
            if os.lstat(folder).st_uid != own:
                continue
            with open(os.path.join(folder, _IN_USE), "rb") as file:
                if lock(file.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)


def set_environment(*, local: bool) -> None:
    """Settings that Ray reads from the environment, some of them when it is imported.

    Args:
        local: Whether Ray is to be started here, rather than a cluster joined.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # else a call after the end would start a Ray of its own
    if local and "ray" not in sys.modules:  # it reads these once
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the one switch that makes Ray listen on loopback alone
        os.environ["RAY_AUTH_MODE"] = "token"  # else any user of this machine could run code in our workers
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def this_machine(request: Request) -> dict[str, float]:
    """CPU cores that this process may use, and GPUs if they are asked for."""
    # Minds a container's or a batch system's share of the machine; comes with scikit-learn.
    from joblib import cpu_count

    gpus = 0
    if (request.wants_gpu or request.gpus) and _has_driver():
        import torch

        gpus = torch.cuda.device_count()
    return {"CPU": float(cpu_count()), "GPU": float(gpus)}


def _has_driver() -> bool:
    """Whether there may be a GPU, before torch, which knows, is loaded for it: NVIDIA's, Windows' in Linux, AMD's."""
    return sys.platform != "linux" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")))


def share(request: Request, nodes: Sequence[Mapping[str, float]], *, own: bool) -> Resources:
    """Divide what there is.

    Args:
        request: What is asked for.
        nodes: CPU cores and GPUs of each.
        own: Whether there will never be more, and cores are ours to divide as we like.

    Raises:
        InputError: It does not fit.
    """
    total_cpus, total_gpus = (sum(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU"))
    gpus = request.gpus
    if gpus is None:
        gpus = _fair_share(request.workers, total_gpus) if request.wants_gpu else 0.0
    cpus = 0.0 if own and request.workers else request.cpus
    places = sum(_places(node, cpus, gpus) for node in nodes)
    wish = f"{request.cpus:g} CPUs and {gpus:g} GPUs"
    there = f"{'this machine' if own else 'the cluster'} has {total_cpus:g} CPUs and {total_gpus:g} GPUs"
    if request.workers is None and places < 1:
        wait = "" if own else "; if it will grow, say --workers"
        raise InputError(f"no evaluation fits: it asks for {wish}, {there}{wait}")
    if request.workers is not None and places < request.workers:
        if own:
            raise InputError(f"--workers {request.workers}: {places:g} fit, an evaluation asks for {wish}, {there}")
        _logger.warning("%g of %d workers fit now: an evaluation asks for %s, %s", places, request.workers, wish, there)
    if request.workers is None:
        return Resources(workers=int(places) if math.isfinite(places) else 1, cpus=request.cpus, gpus=gpus)
    return Resources(workers=request.workers, cpus=request.cpus, gpus=gpus)


def _fair_share(workers: int | None, gpus: float) -> float:
    """GPUs a worker: a whole one, or as many workers on each as it takes; Ray counts in ten-thousandths."""
    if not gpus:
        return 0.0
    return 1.0 if workers is None else math.floor(10_000 / math.ceil(workers / gpus)) / 10_000


def _places(node: Mapping[str, float], cpus: float, gpus: float) -> float:
    """Evaluations that fit on a node; one that asks for nothing fits without end."""
    fit = [math.floor(node.get("CPU", 0.0) / cpus + 1e-9)] if cpus else []
    if gpus:
        # Shares of a GPU have to be of the same one.
        each = math.floor(1 / gpus + 1e-9) if gpus < 1 else 1 / gpus
        fit.append(math.floor(math.floor(node.get("GPU", 0.0)) * each + 1e-9))
    return min(fit, default=math.inf)


@contextmanager
def _importable() -> Iterator[None]:
    """Let processes that are started meanwhile import whatever this one can."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _short_folder() -> str:
    """Where temporary files go, if it is short enough for the paths of Ray's sockets."""
    folders = (tempfile.gettempdir(), "/tmp", "/var/tmp")
    for folder in folders:
        if len(os.fsencode(folder)) <= _LONGEST_FOLDER - len("/nas-ray-12345678") and os.access(folder, os.W_OK):
            return folder
    raise InputError(f"TMPDIR {folders[0]}: too long a path for Ray, and neither /tmp nor /var/tmp can be written to")
