"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib
import os
import signal
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

# Before torch is loaded, here and in subprocesses: the networks of tests are tiny, and threads that wait for each other
# on busy cores cost minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# One worker fits unless a test says otherwise: networks of tests train in less time than Ray takes to start.
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")

# A machine under load is slow, not wrong; and CI judges every change by the same examples.
settings.register_profile("no-deadline", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("no-deadline")

# A shell in the background ignores Ctrl-C, and all that it starts inherits that; tests send Ctrl-C to commands.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") and not importlib.import_module("torch").cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def timm() -> ModuleType:
    """The timm library, or a skip."""
    torch = pytest.importorskip("torch")
    library = torch.library.Library("torchvision", "DEF")
    try:
        # timm imports torchvision, which fails beside a CPU build of torch unless these operators are known.
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass  # a torchvision with its own operators
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's imports
        try:
            module = importlib.import_module("timm")
        except ImportError as error:
            pytest.skip(f"timm cannot be imported: {error}")
    module._operators = library  # they live as long as the object
    return module


@pytest.fixture
def few_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator ``imagenet`` in a second, its accuracies less exact; what is fitted is kept in `tmp_path`."""
    boosted_trees = importlib.import_module("evaluator.tabular.boosted_trees")  # after the environment is set
    monkeypatch.setitem(boosted_trees.SETTINGS, "n_estimators", 60)
    monkeypatch.setattr("evaluator.tabular.table.CACHE_DIR", tmp_path / "cache")
