"""Decisions: all that a controller sees of a search space.

A space is a sequence of decisions; a proposal is one token, the index of a choice, for each. A decision may apply
only under certain choices made before it; where it does not apply its token is 0. Any object with these decisions
and a `decode` can be searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from search_space.architecture import Architecture

Tokens = tuple[int, ...]
"""One choice index for each decision of a space, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One question the space asks."""

    name: str
    """Unique in its space, e.g. ``block3.kernel``."""
    choices: tuple[str, ...]
    """What may be chosen, as text for people; controllers only use how many there are."""
    requires: tuple[tuple[int, frozenset[int]], ...] = ()
    """It applies only if, for every (index of an earlier decision, tokens), that decision took one of the tokens."""

    def applies(self, tokens: Sequence[int]) -> bool:
        """Whether the choices made so far ask this question; `tokens` holds at least all earlier decisions."""
        return not self.requires or all(tokens[index] in allowed for index, allowed in self.requires)


class Space(Protocol):
    """What the search needs of a space; `search_space.space.SearchSpace` reads one from YAML."""

    @property
    def name(self) -> str:
        """What the run's record calls it."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The questions, in the order they are asked."""

    def decode(self, tokens: Sequence[int]) -> Architecture:
        """The architecture that `tokens` describe."""


def canonical(decisions: Sequence[Decision], tokens: Sequence[int]) -> Tokens:
    """`tokens` with 0 where a decision does not apply.

    Raises:
        ValueError: Wrong length, or a token outside its decision's choices.
    """
    if len(tokens) != len(decisions):
        raise ValueError(f"expected {len(decisions)} tokens, got {len(tokens)}")
    result: list[int] = []
    for decision, token in zip(decisions, tokens, strict=True):
        if not 0 <= token < len(decision.choices):
            raise ValueError(f"{decision.name}: token must be 0 to {len(decision.choices) - 1}, got {token}")
        result.append(int(token) if decision.applies(result) else 0)
    return tuple(result)


def sample_tokens(decisions: Sequence[Decision], generator: np.random.Generator) -> Tokens:
    """Tokens drawn uniformly, decision by decision."""
    return canonical(decisions, [int(generator.integers(len(decision.choices))) for decision in decisions])


def mutate_tokens(decisions: Sequence[Decision], tokens: Sequence[int], generator: np.random.Generator) -> Tokens:
    """`tokens` with one applying decision changed to another of its choices, uniformly."""
    open_to_change = [i for i, decision in enumerate(decisions) if decision.applies(tokens)]
    index = int(generator.choice([i for i in open_to_change if len(decisions[i].choices) > 1]))
    changed = list(tokens)
    changed[index] = (changed[index] + int(generator.integers(1, len(decisions[index].choices)))) % len(
        decisions[index].choices
    )
    return canonical(decisions, changed)


def neighbours(decisions: Sequence[Decision], tokens: Sequence[int]) -> list[Tokens]:
    """All distinct tokens that differ from `tokens` in one decision that applies, and in what follows from it."""
    found = [
        canonical(decisions, [*tokens[:i], token, *tokens[i + 1 :]])
        for i, decision in enumerate(decisions)
        if decision.applies(tokens)
        for token in range(len(decision.choices))
        if token != tokens[i]
    ]
    return list(dict.fromkeys(found))
