"""Adds the measured latency to an evaluation, where the objective asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from evaluator.base import Evaluation
from evaluator.objective import Objective
from search_space.architecture import Architecture

Timer = Callable[[Evaluation, Architecture], Evaluation]


def make_timer(objective: Objective) -> Timer:
    """What completes the evaluations of a search.

    A latency is measured in the search's own process, once a network; it is kept in the evaluation, and so in the
    journal, where a resumed run finds it: a measurement is not repeated exactly.
    """
    if objective.target_latency_ms is None:
        return lambda evaluation, architecture: evaluation
    from evaluator.device.latency import LatencyMeter  # loads torch

    meter = LatencyMeter(objective.latency_device)

    def measure(evaluation: Evaluation, architecture: Architecture) -> Evaluation:
        if evaluation.status != "ok" or evaluation.latency_ms is not None:
            return evaluation
        return dataclasses.replace(evaluation, latency_ms=meter.measure(architecture))

    return measure
