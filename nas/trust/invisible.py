"""Decisions that an evaluator cannot see: choices that build different networks, but the same one to measure."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from search_space.architecture import Architecture
from search_space.decision import Space, canonical, sample_tokens

SAMPLES = 8
"""Random networks in which every choice is tried."""


def invisible(space: Space, measured: Callable[[Architecture], Architecture]) -> list[str]:
    """Choices of a space that make no difference to what is measured, as ``block2.channels 24 and 32``.

    Args:
        space: What is searched.
        measured: The network that is measured in an architecture's place.
    """
    generator = np.random.default_rng(0)
    bases = [sample_tokens(space.decisions, generator) for _ in range(SAMPLES)]
    found = []
    for index, decision in enumerate(space.decisions):
        seen: set[tuple[int, int]] = set()
        unseen: set[tuple[int, int]] = set()
        for base in (tokens for tokens in bases if decision.applies(tokens)):
            networks = [
                space.decode(canonical(space.decisions, [*base[:index], token, *base[index + 1 :]]))
                for token in range(len(decision.choices))
            ]
            keys = [(network.key, measured(network).key) for network in networks]
            for (a, (own, small)), (b, (other, others_small)) in itertools.combinations(enumerate(keys), 2):
                if own != other:
                    (unseen if small == others_small else seen).add((a, b))
        pairs = sorted(unseen - seen)
        found += [f"{decision.name} {decision.choices[a]} and {decision.choices[b]}" for a, b in pairs]
    return found
