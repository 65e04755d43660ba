"""The known networks that a run's answer stands beside, evaluated or not."""

from __future__ import annotations

from typing import Any

from nas.config import SearchConfig
from nas.grid.config import GridConfig
from nas.runs import references
from nas.runs.directory import BASELINE, REFERENCE_NETWORK
from nas.runs.record import RunRecord
from search_space.architecture import Architecture
from search_space.cost import count


def compared(run: RunRecord) -> str:
    """The known network that the best one stands beside first."""
    own = (name for name in run.references if name.startswith(references.PARENT))
    return BASELINE if isinstance(run.settings, GridConfig) else next(own, REFERENCE_NETWORK)


def names(run: RunRecord) -> list[str]:
    """All known networks of a run, the one it is compared with first."""
    return list(dict.fromkeys([compared(run), *references.in_order(run.references)]))


def reference(run: RunRecord, name: str) -> dict[str, Any]:
    """What is known of a reference: what it is called, its cost and, where it was evaluated, how good it is."""
    architecture = network_of(run, name)
    cost, found = count(architecture), run.references.get(name)
    accuracy = found.accuracy if found else None
    reward = None
    if found and accuracy is not None and run.objective:
        reward = run.objective.reward(accuracy, cost.macs, found.latency_ms)
    return {
        "name": references.title(name, architecture),
        "status": found.status if found else "not evaluated",
        "reason": found.reason if found else "",
        "accuracy": accuracy,
        "reward": reward,
        "macs": cost.macs,
        "params": cost.params,
    }


def network_of(run: RunRecord, name: str) -> Architecture:
    """What a reference's name stands for in a run."""
    if isinstance(run.settings, GridConfig) and name == BASELINE:
        return run.settings.baseline
    if isinstance(run.settings, SearchConfig):
        return references.network_of(run.history, run.settings, name)
    return Architecture.load(name)
