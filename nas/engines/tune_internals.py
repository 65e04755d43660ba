"""Tune's private parts, touched here and nowhere else.

Another Ray may lack a name that is used here: then nothing breaks but what it was used for.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial


def forget_finished(tune_controller: Any) -> None:
    """Take finished trials off Tune's books.

    Tune keeps every trial it ever had, about 50 KB each, to save and restore them; the journal does that here. The few
    that failed stay: without them Tune's loop was seen to spin for minutes after workers were killed.
    """
    trials = tune_controller.get_trials()
    finished = {trial for trial in trials if trial.status == Trial.TERMINATED}
    trials[:] = [trial for trial in trials if trial not in finished]
    tune_controller.get_live_trials().difference_update(finished)
    for name in ("_stopped_trials", "_failed_trials", "_trials_to_cache"):
        getattr(tune_controller, name, set()).difference_update(finished)
    states = getattr(tune_controller, "_trial_metadata", {})
    for trial in finished:
        states.pop(trial.trial_id, None)
        if trial.local_path:
            with suppress(OSError):  # a callback's files or an error's text are in it
                Path(trial.local_path).rmdir()


def survive_memory_kills(tune_controller: Any) -> None:
    """Let a worker that Ray killed for memory count as one that died.

    Ray reports it as an OutOfMemoryError, which Tune does not know and ends the whole experiment for.
    """
    manager = getattr(tune_controller, "_actor_manager", None)
    tell = getattr(manager, "_actor_task_failed", None)
    if tell is None or "_actor_task_failed" in vars(manager):
        return

    def tell_known(tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=f"{type(exception).__name__}: {exception}")
        tell(tracked_actor_task, exception)

    manager._actor_task_failed = tell_known  # type: ignore[union-attr]
