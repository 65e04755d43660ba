from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

if importlib.util.find_spec("ray") is None:
    pytest.skip("ray is not installed", allow_module_level=True)


@pytest.fixture
def internals() -> Any:
    from nas.engines import ray_cluster

    ray_cluster.set_environment(local=True)  # before the first import of Ray in this process
    from nas.engines import tune_internals

    return tune_internals


class FakeTrial:
    def __init__(self, folder: Path, status: str) -> None:
        self.trial_id, self.local_path, self.status = folder.name, str(folder), status
        folder.mkdir()


@pytest.mark.parametrize("another_ray", [False, True])
def test_trials_that_ended_well_leave_tunes_books(internals: Any, tmp_path: Path, another_ray: bool) -> None:
    statuses = {"live": "RUNNING", "done": "TERMINATED", "written": "TERMINATED", "failed": "ERROR"}
    live, done, written, failed = (FakeTrial(tmp_path / name, status) for name, status in statuses.items())
    (tmp_path / "written" / "events").touch()
    listed, alive, stopped, cached = [live, done, written, failed], {live, done}, {done, written}, {live, done, failed}
    states = {trial.trial_id: "state" for trial in listed}
    books = {"get_trials": lambda: listed, "get_live_trials": lambda: alive}
    if not another_ray:
        books |= {"_stopped_trials": stopped, "_trials_to_cache": cached, "_trial_metadata": states}
    internals.forget_finished(SimpleNamespace(**books))
    assert (listed, alive) == ([live, failed], {live})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failed", "live", "written"]
    if not another_ray:
        assert (stopped, cached, set(states)) == (set(), {live, failed}, {"live", "failed"})


class Manager:
    def __init__(self) -> None:
        self.told: list[Exception] = []

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        self.told.append(exception)


def test_a_worker_killed_for_memory_has_died_to_tune(internals: Any) -> None:
    from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError

    manager = Manager()
    for _ in range(2):
        internals.survive_memory_kills(SimpleNamespace(_actor_manager=manager))
    known, unknown = ActorDiedError(), OutOfMemoryError("1 worker(s) were killed")
    manager._actor_task_failed(tracked_actor_task=None, exception=known)
    manager._actor_task_failed(tracked_actor_task=None, exception=unknown)
    assert manager.told[0] is known
    assert type(manager.told[1]) is RayActorError
    assert str(manager.told[1]) == "OutOfMemoryError: 1 worker(s) were killed"


def test_another_ray_without_that_name_is_left_alone(internals: Any) -> None:
    manager = SimpleNamespace()
    for controller in (SimpleNamespace(), SimpleNamespace(_actor_manager=manager)):
        internals.survive_memory_kills(controller)
    assert vars(manager) == {}
