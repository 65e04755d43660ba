"""Small stand-ins for the real parts, for tests of what surrounds them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from controller.random_search import RandomSearch
from evaluator.base import Evaluation, Evaluator
from search_space.architecture import Architecture
from search_space.decision import Tokens, sample_tokens
from search_space.seeding import derive_seed


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    sleep: float = 0.0
    fail_every: int = 0
    """Fail networks whose digest divides by this; 0 for none."""
    fail_with: str = "this network always fails"


class ToyEvaluator(Evaluator[ToyConfig]):
    """Accuracy from a digest of the network and the seed, in no time."""

    Config = ToyConfig
    presets: ClassVar[dict[str, Any]] = {"default": ToyConfig()}
    is_lookup = True

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        digest = int(hashlib.sha256(f"{architecture.key}/{seed}".encode()).hexdigest()[:8], 16)
        time.sleep(self.config.sleep)
        if self.config.fail_every and digest % self.config.fail_every == 0:
            raise RuntimeError(self.config.fail_with)
        accuracy = digest / 16**8
        return Evaluation(status="ok", accuracy=accuracy, curve=(accuracy,), losses=(1 - accuracy,), seconds=0.01)


class KernelEvaluator(ToyEvaluator):
    """Accuracy from the share of stages with a large kernel, of which the number of parameters says little."""

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        accuracy = 0.2 + 0.6 * sum(stage.kernel > 3 for stage in architecture.stages) / len(architecture.stages)
        return Evaluation(status="ok", accuracy=accuracy, curve=(accuracy,), seconds=float(fidelity))


class SteadyEvaluator(ToyEvaluator):
    """Accuracy from a digest of the network, in which a seed changes little."""

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        time.sleep(self.config.sleep)
        if self.config.fail_every and int(architecture.key, 16) % self.config.fail_every == 0:
            raise RuntimeError(self.config.fail_with)
        digest, noise = (int(hashlib.sha256(t.encode()).hexdigest()[:8], 16) for t in (architecture.key, str(seed)))
        accuracy = (0.2 + 0.6 * digest / 16**8) * (1 + 0.02 * noise / 16**8)
        return Evaluation(status="ok", accuracy=accuracy, curve=(accuracy,), seconds=float(fidelity))


class LookedUp(SteadyEvaluator):
    """As a table answers."""

    trains = False


class AnyProposals(RandomSearch):
    """Random search that looks for nothing: neither for networks of the budget nor for new ones."""

    def ask(self, batch: int, count: int) -> list[Tokens]:
        generator = np.random.default_rng(derive_seed(self.seed, "ask", batch))
        return [sample_tokens(self.problem.decisions, generator) for _ in range(count)]
