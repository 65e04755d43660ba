"""Find a convnet for given images and a budget of multiply-adds, and scale it into a family.

The public names, imported when they are first used; `docs/api.md` shows them at work.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.base import Controller
    from evaluator.base import Evaluation, Evaluator
    from nas.api import create_model, create_study, grid_search, load_run, scale
    from nas.history import Trial
    from nas.runs.base import Run
    from nas.runs.grid import GridRun
    from nas.runs.record import RunRecord
    from nas.runs.search import StudyRun
    from search_space.architecture import Architecture, Stage
    from search_space.errors import InputError, NasError
    from search_space.space import SearchSpace

    __version__: str

_HOMES = {
    "Architecture": "search_space.architecture",
    "Controller": "controller.base",
    "Evaluation": "evaluator.base",
    "Evaluator": "evaluator.base",
    "GridRun": "nas.runs.grid",
    "InputError": "search_space.errors",
    "NasError": "search_space.errors",
    "Run": "nas.runs.base",
    "RunRecord": "nas.runs.record",
    "SearchSpace": "search_space.space",
    "Stage": "search_space.architecture",
    "StudyRun": "nas.runs.search",
    "Trial": "nas.history",
    "create_model": "nas.api",
    "create_study": "nas.api",
    "grid_search": "nas.api",
    "load_run": "nas.api",
    "scale": "nas.api",
}

__all__ = [
    "Architecture",
    "Controller",
    "Evaluation",
    "Evaluator",
    "GridRun",
    "InputError",
    "NasError",
    "Run",
    "RunRecord",
    "SearchSpace",
    "Stage",
    "StudyRun",
    "Trial",
    "__version__",
    "create_model",
    "create_study",
    "grid_search",
    "load_run",
    "scale",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("nas-b0")
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
