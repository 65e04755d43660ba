from __future__ import annotations

from pathlib import Path

import pytest

from nas.report import sharing
from nas.report.data import run_data
from nas.report.networks import NetworkTable
from nas.runs.base import measured
from nas.runs.record import load
from nas.statistics import rank_correlation
from search_space.architecture import Architecture
from tests.runs import make_run

KERNELS = "tests.toys:KernelEvaluator"


def small_kernels(network: Architecture) -> float:
    """What the toy evaluator calls a mistake."""
    return sum(stage.kernel == 3 for stage in network.stages) / len(network.stages)


def test_how_the_shared_loss_ranks_beside_what_is_free(tmp_path: Path) -> None:
    make_run(tmp_path, trials=16, evaluator=KERNELS, shared_loss=small_kernels)
    run = load(tmp_path)
    networks = measured(run.trials)
    accuracies = [trial.evaluation.accuracy or 0 for trial in networks if trial.evaluation]
    macs = rank_correlation([trial.macs for trial in networks], accuracies, run.seed)
    text = sharing.text(run)
    assert f"accuracies of the {len(networks)} networks" in text
    assert "the shared loss +1.00 [+1.00, +1.00]; the number of parameters " in text
    assert f"MACs {macs}." in text
    data = run_data(run, NetworkTable())
    assert data["shared_text"] == text
    losses = [round(small_kernels(run.architecture(trial)), 4) for trial in run.trials]
    assert data["trials"]["shared_loss"] == losses


@pytest.mark.parametrize(("trials", "loss", "said"), [(3, small_kernels, "too few"), (8, None, "")])
def test_where_there_is_nothing_to_say(tmp_path: Path, trials: int, loss: object, said: str) -> None:
    make_run(tmp_path, trials=trials, evaluator=KERNELS, shared_loss=loss)  # type: ignore[arg-type]
    text = sharing.text(load(tmp_path))
    assert said in text
    assert bool(text) == bool(said)
