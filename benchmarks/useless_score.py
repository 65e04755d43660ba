r"""A score that knows nothing: what a model-guided controller loses by being told it.

PYTHONPATH=. nas-bench --benchmark accel-nasbench:PATH --controllers guided --trials 200 \
    --feature benchmarks.useless_score:UselessScore
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar

from evaluator.base import Evaluation, Evaluator
from search_space.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class UselessConfig:
    """There is nothing to set."""


class UselessScore(Evaluator[UselessConfig]):
    """A random number for each network."""

    Config = UselessConfig
    presets: ClassVar[dict[str, Any]] = {"default": UselessConfig()}

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """The same number for the same network."""
        return Evaluation(status="ok", accuracy=random.Random(architecture.key).uniform(0.2, 0.8), seconds=0.0)
