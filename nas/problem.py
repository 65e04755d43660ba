"""The controller's view of a search: what a proposal would cost and earn, before anything is trained."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from controller.base import Problem
from evaluator.objective import Objective
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, Tokens

_REMEMBERED = 20_000  # networks whose key and cost are kept at hand: a controller weighs each of them many times


def make_problem(
    space: Space,
    objective: Objective,
    band: tuple[float, float] | None,
    shared_loss: Callable[[Architecture], float] | None = None,
) -> Problem:
    """The controller's view of a space and an objective.

    Args:
        space: What is searched.
        objective: Accuracy and MACs to reward.
        band: Lowest and highest MACs, as multiples of the target, that may be proposed; None for no limit.
        shared_loss: A network's loss by weights that all share, the first guess at its accuracy; None for the number of
            parameters alone.
    """

    @functools.lru_cache(maxsize=_REMEMBERED)
    def cost(tokens: Tokens) -> tuple[int, int]:
        """MACs and parameters."""
        counted = count(space.decode(tokens))
        return counted.macs, counted.params

    @functools.lru_cache(maxsize=_REMEMBERED)
    def key(tokens: Tokens) -> str:
        """Dearer than the cost, and asked of fewer."""
        return space.decode(tokens).key

    def reward(tokens: Tokens, accuracy: float) -> float:
        return objective.reward(accuracy, cost(tokens)[0])

    def admissible(tokens: Tokens) -> bool:
        if band is None:
            return True
        ratio = cost(tokens)[0] / objective.target_macs
        return band[0] <= ratio <= band[1]

    def distance(tokens: Tokens) -> float:
        """In factors of MACs, on a log scale."""
        assert band is not None
        macs, (low, high) = cost(tokens)[0], (bound * objective.target_macs for bound in band)
        return 0.0 if low <= macs <= high else math.log(low / macs if macs < low else macs / high)

    def features(tokens: Tokens) -> tuple[float, ...]:
        macs, params = cost(tokens)
        return math.log(macs), math.log(params)

    def guesses(tokens: Tokens) -> tuple[float, ...]:
        known = (math.log(cost(tokens)[1]),)
        return known if shared_loss is None else (-shared_loss(space.decode(tokens)), *known)

    return Problem(
        decisions=space.decisions,
        reward=reward,
        network=key,
        admissible=admissible,
        distance=distance if band else None,
        features=features,
        guesses=guesses,
        open_ended=objective.rewards_low_latency,
    )
