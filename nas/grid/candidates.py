"""Given networks as a space: which one, how long to train it, and on which seed."""

from __future__ import annotations

from collections.abc import Sequence

from controller.halving import CANDIDATE, FIDELITY, REPEAT
from nas.study import Measurement
from search_space.architecture import Architecture
from search_space.decision import Decision, Tokens


class CandidateSpace:
    """Given networks, each to be measured at several lengths and seeds."""

    def __init__(self, name: str, candidates: Sequence[Architecture], rungs: Sequence[int], repeats: int) -> None:
        """Ask which network, how long and with which seed.

        Args:
            name: What the run's record calls it.
            candidates: The networks.
            rungs: Fidelities, rising.
            repeats: How many seeds the last rung takes; the rungs before take one, which the last does not use.
        """
        self.name = name
        self.candidates = tuple(candidates)
        self.rungs = tuple(rungs)
        self.decisions = (
            Decision(name="candidate", choices=tuple(str(i) for i in range(len(candidates)))),
            Decision(name="fidelity", choices=tuple(str(rung) for rung in rungs)),
            Decision(name="repeat", choices=tuple(str(i) for i in range(repeats + 1))),
        )

    def decode(self, tokens: Sequence[int]) -> Architecture:
        """The network that a proposal measures."""
        return self.candidates[tokens[CANDIDATE]]

    def measurement(self, tokens: Tokens) -> Measurement:
        """How a proposal measures it."""
        return Measurement(fidelity=self.rungs[tokens[FIDELITY]], repeat=tokens[REPEAT])
