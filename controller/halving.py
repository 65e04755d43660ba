"""Successive halving over given networks: few epochs for all, more for the best, then repeats for the finalists.

Jamieson and Talwalkar, arXiv:1502.07943, algorithm 1; the last rung is repeated over several seeds, so that the
winner's lead can be set against the noise of training. Networks meet only at equal epochs and on equal seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from controller.base import Controller, Outcome, Problem, Signals
from search_space.decision import Tokens
from search_space.errors import InputError

CANDIDATE, FIDELITY, REPEAT = range(3)  # a proposal's decisions


@dataclass(frozen=True, kw_only=True)
class HalvingConfig:
    """How the budget is spent.

    Raises:
        InputError: Nothing would be compared.
    """

    rungs: int
    """How many lengths of training there are; each but the last keeps the better half."""
    finalists: int
    """Networks that enter the last rung, beside `seeded`."""
    repeats: int
    """Seeds for each of them."""
    seeded: tuple[int, ...] = ()
    """Candidates that stay in whatever their score: what the winner is to be set against."""
    checks: int = 0
    """How many times the best two and `seeded` are compared again, each time as other networks: all candidates are
    followed by as many that stand for them in the first check, and so on."""

    def __post_init__(self) -> None:
        for name in ("rungs", "finalists", "repeats"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")


class SuccessiveHalving(Controller[HalvingConfig]):
    """Proposes a rung a batch, then a check a batch; a network whose training failed goes no further."""

    Config: ClassVar[type] = HalvingConfig
    presets: ClassVar[dict[str, HalvingConfig]] = {"default": HalvingConfig(rungs=3, finalists=3, repeats=3)}

    def __init__(self, problem: Problem, config: HalvingConfig, seed: int) -> None:
        """See `Controller`; the problem's decisions are which candidate, how long and which seed."""
        super().__init__(problem, config, seed)
        self._number = len(problem.decisions[CANDIDATE].choices) // (1 + config.checks)
        self._entrants: list[int] = list(range(self._number))
        self._rung = 0

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """The rung's proposals, all of them: a rung is learned from whole; none after the last."""
        last = self.config.rungs - 1
        if self._rung > last + self.config.checks:
            return []
        if self._rung < last:
            return [(candidate, self._rung, 0) for candidate in self._entrants]
        first, repeats = (self._rung - last) * self._number, range(1, self.config.repeats + 1)
        return [(first + candidate, last, repeat) for repeat in repeats for candidate in self._entrants]

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """Let the best of a rung enter the next, the earlier candidate where equal."""
        if self._rung >= self.config.rungs - 1:
            self._rung += 1
            if self._rung == self.config.rungs:
                self._entrants = self._podium(outcomes)
            return {"rung": self._rung - 1}
        ok = [outcome for outcome in outcomes if outcome.accuracy is not None]
        order = [o.tokens[CANDIDATE] for o in sorted(ok, key=lambda o: (-o.reward, o.tokens[CANDIDATE]))]
        self._rung += 1
        size = rung_size(self._number, self._rung, self.config)
        seeded = [candidate for candidate in order[size:] if candidate in self.config.seeded]
        self._entrants = sorted(order[:size] + seeded)
        return {"rung": self._rung - 1, "promoted": self._entrants}

    def _podium(self, outcomes: Sequence[Outcome]) -> list[int]:
        """The best two of those trained on all seeds, by mean accuracy, and those that stay in; the best first."""
        found: dict[int, list[float]] = {}
        for outcome in outcomes:
            if outcome.accuracy is not None:
                found.setdefault(outcome.tokens[CANDIDATE], []).append(outcome.accuracy)
        whole = [number for number, values in found.items() if len(values) == self.config.repeats]
        ranked = sorted(whole, key=lambda number: (-sum(found[number]), number))
        return ranked[:2] + [number for number in ranked[2:] if number in self.config.seeded]


def rung_size(candidates: int, rung: int, config: HalvingConfig) -> int:
    """How many networks enter a rung on their score."""
    if rung == 0:
        return candidates
    half = math.ceil(candidates / 2**rung) if rung < config.rungs - 1 else config.finalists
    return min(candidates, max(half, config.finalists))
