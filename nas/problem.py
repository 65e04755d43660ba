"""The controller's view of a search: what a proposal would cost and earn, before anything is trained."""

from __future__ import annotations

import functools
import math

from controller.base import Problem
from evaluator.objective import Objective
from search_space.cost import count
from search_space.decision import Space, Tokens

_REMEMBERED = 20_000  # networks whose key and cost are kept at hand: a controller weighs each of them many times


def make_problem(space: Space, objective: Objective, band: tuple[float, float] | None) -> Problem:
    """The controller's view of a space and an objective.

    Args:
        space: What is searched.
        objective: Accuracy and MACs to reward.
        band: Lowest and highest MACs, as multiples of the target, that may be proposed; None for no limit.
    """

    @functools.lru_cache(maxsize=_REMEMBERED)
    def built(tokens: Tokens) -> tuple[str, int, int]:
        """Key, MACs and parameters."""
        architecture = space.decode(tokens)
        cost = count(architecture)
        return architecture.key, cost.macs, cost.params

    def reward(tokens: Tokens, accuracy: float) -> float:
        return objective.reward(accuracy, built(tokens)[1])

    def admissible(tokens: Tokens) -> bool:
        if band is None:
            return True
        ratio = built(tokens)[1] / objective.target_macs
        return band[0] <= ratio <= band[1]

    def features(tokens: Tokens) -> tuple[float, ...]:
        _, macs, params = built(tokens)
        return math.log(macs), math.log(params)

    return Problem(
        decisions=space.decisions,
        reward=reward,
        network=lambda tokens: built(tokens)[0],
        admissible=admissible,
        features=features,
        guesses=lambda tokens: (math.log(built(tokens)[2]),),
        open_ended=objective.rewards_low_latency,
    )
