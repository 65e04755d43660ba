"""A cheap evaluator in front of the real one: what `nas-search --screen` puts around a controller."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from controller.base import Controller, Problem
from controller.screened import Screened
from evaluator.base import Evaluator
from evaluator.registry import EVALUATORS
from nas.engines.base import Job
from nas.engines.local import evaluate_safely
from search_space import named
from search_space.decision import Space, Tokens


def screened(controller: Controller[Any], evaluator: str, ratio: int, space: Space) -> Screened:
    """The controller behind a screen.

    Args:
        controller: What proposes.
        evaluator: Name of the evaluator that screens, in its default settings.
        ratio: Proposals for each that passes.
        space: What is searched.

    Raises:
        InputError: Unknown name, or the evaluator's data are not there.
    """
    cls, _ = named.load_object("evaluator", evaluator, EVALUATORS)
    return Screened(controller, promise(space, controller.problem, cls(cls.presets["default"])), ratio)


def promise(space: Space, problem: Problem, evaluator: Evaluator[Any]) -> Callable[[Tokens], float]:
    """How promising a proposal is: the reward it would have if the evaluator's accuracy were the true one."""

    @functools.cache
    def score(tokens: Tokens) -> float:
        evaluation = evaluate_safely(evaluator, Job(trial=-1, architecture=space.decode(tokens), seed=0))
        return problem.reward(tokens, evaluation.accuracy or 0.0)

    return score
