"""A plan as a controller: proposes what is planned and was not told yet."""

from __future__ import annotations

from collections.abc import Sequence

from controller.base import Controller, Outcome, Problem, Signals
from search_space.decision import Tokens


class Planned(Controller[None]):
    """Proposes the members of a plan, in its order, until all are told."""

    def __init__(self, problem: Problem, plan: Sequence[Tokens]) -> None:
        super().__init__(problem, None, 0)
        self._plan = plan
        self._told: set[Tokens] = set()

    def ask(self, batch: int, count: int) -> list[Tokens]:
        """All that is left, in the order of the plan."""
        return [tokens for tokens in self._plan if tokens not in self._told][:count]

    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """Tick off."""
        self._told.update(outcome.tokens for outcome in outcomes)
        return {}
