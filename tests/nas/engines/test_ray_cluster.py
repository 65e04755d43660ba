from __future__ import annotations

from typing import Any

import pytest

from nas.engines import ray_cluster
from nas.engines.ray_cluster import Resources
from search_space.errors import InputError


def share(total: dict[str, float], **wishes: Any) -> Resources:
    asked = {"workers": None, "cpus": 1.0, "gpus": None, "wants_gpu": False, "own": True}
    return ray_cluster._share(total, **(asked | wishes))


@pytest.mark.parametrize(
    ("total", "wishes", "workers", "gpus"),
    [
        ({"CPU": 4.0}, {}, 4, 0),
        ({"CPU": 4.0}, {"cpus": 2.0}, 2, 0),
        ({"CPU": 4.0}, {"workers": 7}, 7, 0),
        ({"CPU": 4.0}, {"cpus": 0.1}, 40, 0),
        ({"CPU": 16.0, "GPU": 2.0}, {}, 16, 0),
        ({"CPU": 16.0, "GPU": 2.0}, {"wants_gpu": True}, 2, 1),
        ({"CPU": 16.0, "GPU": 2.0}, {"wants_gpu": True, "workers": 8}, 8, 0.25),
        ({"CPU": 16.0, "GPU": 1.0}, {"gpus": 0.25}, 4, 0.25),
        ({"CPU": 2.0}, {"wants_gpu": True}, 2, 0),
        ({"CPU": 2.0}, {"cpus": 0.0}, 1, 0),
    ],
)
def test_a_cluster_is_shared_out(total: dict[str, float], wishes: dict[str, Any], workers: int, gpus: float) -> None:
    assert share(total, **wishes) == Resources(workers=workers, cpus=wishes.get("cpus", 1.0), gpus=gpus)


def test_what_cannot_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"--gpus-per-trial 0\.5: this machine has 0 GPUs"):
        share({"CPU": 2.0}, gpus=0.5)
    with pytest.raises(InputError, match="no evaluation fits: it asks for 3 CPUs and 0 GPUs, the cluster has 2 CPUs"):
        share({"CPU": 2.0}, cpus=3.0, own=False)
