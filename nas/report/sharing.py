"""What weights that all networks share said before trainings, beside what the trainings said."""

from __future__ import annotations

from nas.history import Trial
from nas.runs.base import free_scores, measured
from nas.runs.record import RunRecord
from nas.statistics import rank_correlation

LEAST = 5
"""Trained networks below which a rank correlation says nothing."""


def text(run: RunRecord) -> str:
    """How the shared loss ranks the networks that were trained, and how what else costs no training does; empty where
    there is no such loss."""
    networks = _guessed(run)
    if not networks:
        return ""
    if len(networks) < LEAST:
        return f"{len(networks)} networks were trained: too few to say how well the shared loss ranks."
    accuracies = [trial.evaluation.accuracy or 0.0 for trial in networks if trial.evaluation]
    taus = {name: rank_correlation(scores, accuracies, run.seed) for name, scores in free_scores(networks).items()}
    *others, own = [f"{name} {tau}" for name, tau in taus.items()]
    return (
        f"Kendall\u2019s tau with the accuracies of the {len(networks)} networks that were trained, with 95% "
        f"intervals: {own}; {', '.join(others)}. These are networks that the search picked, not random ones."
    )


def _guessed(run: RunRecord) -> list[Trial]:
    """Trained networks, where shared weights had said something of each."""
    networks = measured(run.trials)
    return networks if all(trial.shared_loss is not None for trial in networks) else []
