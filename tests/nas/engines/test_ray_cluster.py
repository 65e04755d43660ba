from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from nas.engines import ray_cluster
from nas.engines.ray_cluster import Request, Resources, clear
from search_space.errors import InputError


def share(*nodes: dict[str, float], own: bool = True, **wishes: Any) -> Resources:
    return ray_cluster.share(Request(**wishes), nodes, own=own)


ROOT = Path(__file__).parents[3]
CPU4, CPU16_GPU2 = {"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("machine", "wishes", "workers", "gpus"),
    [
        (CPU4, {}, 4, 0),
        (CPU4, {"cpus": 2.0}, 2, 0),
        (CPU4, {"workers": 7}, 7, 0),
        (CPU4, {"cpus": 0.1}, 40, 0),
        (CPU16_GPU2, {}, 16, 0),
        (CPU16_GPU2, {"wants_gpu": True}, 2, 1),
        (CPU16_GPU2, {"wants_gpu": True, "workers": 1}, 1, 1),
        (CPU16_GPU2, {"wants_gpu": True, "workers": 8}, 8, 0.25),
        (CPU16_GPU2, {"wants_gpu": True, "workers": 3}, 3, 0.5),
        (CPU16_GPU2, {"wants_gpu": True, "workers": 5}, 5, 0.3333),
        (CPU16_GPU2, {"wants_gpu": True, "workers": 12}, 12, 0.1666),
        (CPU16_GPU2, {"gpus": 0.4}, 4, 0.4),
        (CPU16_GPU2, {"gpus": 2.0}, 1, 2),
        ({"CPU": 16.0, "GPU": 1.0}, {"gpus": 0.25}, 4, 0.25),
        ({"CPU": 2.0}, {"wants_gpu": True}, 2, 0),
        ({"CPU": 2.0}, {"cpus": 0.0}, 1, 0),
    ],
)
def test_a_machine_is_shared_out(machine: dict[str, float], wishes: dict[str, Any], workers: int, gpus: float) -> None:
    assert share(machine, **wishes) == Resources(workers=workers, cpus=wishes.get("cpus", 1.0), gpus=gpus)


def test_an_evaluation_has_to_fit_on_one_node_of_a_cluster() -> None:
    assert share(CPU4, CPU4, own=False, cpus=3.0).workers == 2
    assert share(CPU4, CPU16_GPU2, own=False, gpus=1.0).workers == 2


@pytest.mark.parametrize(
    ("machine", "wishes", "message"),
    [
        ({"CPU": 2.0}, {"gpus": 0.5}, "it asks for 1 CPUs and 0.5 GPUs, this machine has 2 CPUs and 0 GPUs"),
        ({"CPU": 2.0}, {"cpus": 3.0}, "no evaluation fits: it asks for 3 CPUs and 0 GPUs, this machine has 2 CPUs"),
        (
            CPU16_GPU2,
            {"workers": 3, "gpus": 0.6666},
            "--workers 3: 2 fit, an evaluation asks for 1 CPUs and 0.6666 GPUs",
        ),
        ({"CPU": 2.0}, {"workers": 1, "gpus": 1.0}, "--workers 1: 0 fit"),
    ],
)
def test_what_cannot_fit_is_refused(machine: dict[str, float], wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        share(machine, **wishes)


def test_a_cluster_may_grow(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match="the cluster has 0 CPUs and 0 GPUs; if it will grow, say --workers"):
        share({"CPU": 0.0}, own=False)
    with caplog.at_level(logging.WARNING):
        assert share(CPU4, own=False, workers=8).workers == 8
    assert "4 of 8 workers fit now" in caplog.text


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ray_cluster.this_machine(Request())
    assert 1 <= here["CPU"] <= (os.cpu_count() or 1)
    assert here["GPU"] == 0
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/dev/nvidiactl")
    assert ray_cluster.this_machine(Request(wants_gpu=True))["GPU"] == 3
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert ray_cluster.this_machine(Request(wants_gpu=True))["GPU"] == 0
    assert ray_cluster.this_machine(Request())["GPU"] == 0


def test_a_long_path_for_temporary_files_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 10)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert ray_cluster._short_folder() in ("/tmp", "/var/tmp")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=f"TMPDIR {long}: too long a path for Ray, and neither /tmp nor /var/tmp"):
        ray_cluster._short_folder()


def test_folders_of_killed_processes_are_cleared_and_those_of_others_are_not(tmp_path: Path) -> None:
    code = (
        "import sys; from nas.engines.ray_cluster import hold; file = hold(sys.argv[1]); print(1, flush=True); input()"
    )
    processes = []
    for name in ("nas-ray-dead", "nas-ray-alive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "logs").touch()
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        processes.append(process)
    (tmp_path / "nas-ray-new").mkdir()
    processes[0].kill()
    processes[0].communicate()
    clear(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"nas-ray-alive", "nas-ray-new"}
    processes[1].communicate(b"\n")
