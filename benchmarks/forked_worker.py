"""Ray workers that are forks of one process that has imported everything, so that hundreds fit on one machine.

A worker of its own takes 110 MB and 2 s of a core to start, nearly all of it for imports; a fork takes 30 MB. Ray runs
this file in the place of its own `setup_worker.py`: it passes its arguments, environment and output to the process of
`started`, and lives as long as the fork does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SOCKET = "BENCHMARK_FORK_SOCKET"
"""The environment's name for the socket's path."""


@contextmanager
def started(path: str) -> Iterator[None]:
    """Have a process that forks workers, once it has its imports.

    Args:
        path: Of the socket to make.
    """
    os.environ[SOCKET] = path
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1024)
        pid = os.fork()
        if pid == 0:
            _serve(listener)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _serve(listener: socket.socket) -> None:
    # Ray reads these when it is imported: the first job of a cluster, and the process that workers are to end with.
    os.environ |= {"RAY_JOB_ID": "01000000", "RAY_RAYLET_PID": str(os.getppid())}

    importlib.import_module("ray._private.workers.default_worker")
    importlib.import_module("nas.engines.ray_actors")

    gc.collect()
    gc.freeze()  # else the first collection of a fork would write on, and so copy, every page
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    while True:
        connection, _ = listener.accept()
        request, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if os.fork() == 0:
            listener.close()
            _become_worker(json.loads(request), files)
        connection.close()
        for file in files:
            os.close(file)


def _become_worker(request: dict[str, Any], files: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for target, file in enumerate(files):
        os.dup2(file, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        os._exit(0)


def _ask() -> None:
    """What Ray runs: the worker's arguments follow those for `setup_worker.py`."""
    worker = next(n for n, word in enumerate(sys.argv) if word.endswith("default_worker.py"))
    words = [word for word in sys.argv[worker:] if not word.startswith(("--serialized-runtime-env", "--language"))]
    request = {"arguments": words, "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[SOCKET])
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        connection.recv(1)  # the fork ends


if __name__ == "__main__":
    _ask()
