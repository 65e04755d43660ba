"""The contract of a controller: ask proposes, tell learns. It never trains, opens files or plots.

| call | when | may change what was learned |
|---|---|---|
| ``ask(batch, count)`` | any time, any batch index, as often as wanted | no: the same state gives the same proposals |
| ``tell(outcomes)`` | once a batch, the whole batch, in trial order | yes |
| ``beliefs()`` | any time | no |

All randomness of batch `k` is derived from (seed, purpose, k), and all state comes from `tell`. So a run is resumed
by telling its finished batches again, and the result does not depend on where or in what order evaluations ran.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from search_space.decision import Decision, Tokens

ConfigT = TypeVar("ConfigT")

Signals = dict[str, Any]
"""What a controller reports of its learning, as JSON values: entropy, baseline, gradient norm, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is searched, as far as a controller may know."""

    decisions: tuple[Decision, ...]
    """The space's decisions."""
    reward: Callable[[Tokens, float], float]
    """Reward of these tokens if their network had this accuracy: the cost is exact and needs no learning."""
    network: Callable[[Tokens], str]
    """Key of the network that the tokens build; equal keys are the same network."""
    admissible: Callable[[Tokens], bool]
    """Whether the tokens may be proposed, e.g. whether their MACs lie inside the search's band."""
    distance: Callable[[Tokens], float] | None = None
    """How far tokens are from being admissible; 0 where they are. None where nobody knows."""
    features: Callable[[Tokens], tuple[float, ...]] | None = None
    """What is known of a network before it is trained, e.g. log MACs; finite numbers, as many for every network."""
    guesses: Callable[[Tokens], tuple[float, ...]] | None = None
    """Cheap scores on any scale: the first rises with the accuracy to expect before anything is trained, others may."""
    open_ended: bool = False
    """Whether a trial may get more than `reward` says at its accuracy, e.g. for a low measured latency."""

    def can_beat(self, tokens: Tokens, incumbent: float) -> bool:
        """Whether these tokens' network could get more than a reward, at best at 100 % accuracy."""
        return self.open_ended or self.reward(tokens, 1.0) > incumbent


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one proposal."""

    tokens: Tokens
    reward: float
    """To be maximised; a failed evaluation has the reward of accuracy 0."""
    accuracy: float | None
    """In [0, 1], or None where the evaluation failed."""


class Controller(ABC, Generic[ConfigT]):
    """A search strategy. Subclasses set `Config` (a frozen dataclass) and `presets`."""

    Config: ClassVar[type]
    presets: ClassVar[Mapping[str, Any]]
    """Named configs; ``default`` always exists."""

    def __init__(self, problem: Problem, config: ConfigT, seed: int) -> None:
        """Start with nothing learned.

        Args:
            problem: What is searched.
            config: An instance of `Config`.
            seed: The run's seed.
        """
        self.problem = problem
        self.config = config
        self.seed = seed

    @abstractmethod
    def ask(self, batch: int, count: int) -> list[Tokens]:
        """Propose `count` admissible token sequences for batch number `batch`, or fewer; none ends the study.

        Raises:
            NasError: No admissible proposal was found within the bound on tries.
        """

    @abstractmethod
    def tell(self, outcomes: Sequence[Outcome]) -> Signals:
        """Learn from one whole batch, in trial order, and report the learning signals."""

    def beliefs(self) -> Signals:
        """More signals, on what is believed after all that was told.

        Asked for when a batch was evaluated, and not when a resumed run tells it again: it may be as slow as `ask`.
        """
        return {}
