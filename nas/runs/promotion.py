"""Two fidelities in one search: the most promising quarter of every batch is trained on, several times longer.

A promotion is a proposal like any other, one more token says how long to train; so the journal, the engines and a
resumed run need to know nothing of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from controller.promoting import LONG
from nas.study import Measurement, Study
from search_space.architecture import Architecture
from search_space.decision import Decision, Space, Tokens


class PromotingSpace:
    """A space whose last decision is how long to train, which changes no network."""

    def __init__(self, inner: Space, factor: int) -> None:
        """Add the decision.

        Args:
            inner: What is searched.
            factor: How many times longer the promoted train.
        """
        self.inner = inner
        self.factor = factor
        self.name = inner.name
        self.decisions = (*inner.decisions, Decision(name="training", choices=("1", str(factor))))

    def decode(self, tokens: Sequence[int]) -> Architecture:
        """The network, whatever its training."""
        return self.inner.decode(tokens[:-1])

    def measurement(self, tokens: Tokens) -> Measurement:
        """How long to train; all networks on one seed, so that a network's trainings continue each other."""
        return Measurement(fidelity=self.factor if tokens[-1] == LONG else 1)


def remove(folder: Path) -> None:
    """Delete all states: a finished search has no use for them, and one that grows trains what it lacks again."""
    shutil.rmtree(folder, ignore_errors=True)


def prune(folder: Path, study: Study, top: int) -> None:
    """Delete the states of networks that are neither among the best nor in the last batch, to be trained on."""
    wanted = {trial.key for trial in [*study.ranking()[:top], *study.trials[-study.batch_size :]]}
    for path in folder.glob("*.pt"):
        if path.name.partition("-")[0] not in wanted:
            path.unlink()
