"""Turning what a strategy draws into proposals: admissible, distinct, where possible never told before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

import numpy as np

from controller.base import Problem
from search_space.decision import Decision, Tokens, mutate_tokens, sample_tokens
from search_space.errors import NasError

MAX_ROUNDS = 20
"""How often a strategy is asked for more before uniform sampling takes over."""
MAX_UNIFORM = 20_000
"""How many uniform samples are tried before giving up."""
MAX_UNIFORM_NEW = 1_000
"""How many of these are spent on finding a network that is new, when a known one could be repeated instead."""
MAX_WALKS = 50
"""How many random networks are led towards what is admissible, where uniform samples hardly ever are."""
MAX_STEPS = 100
"""Mutations on each of these ways."""


def select(
    problem: Problem,
    count: int,
    draw: Callable[[int], Iterable[Tokens]],
    generator: np.random.Generator,
    avoid: Set[str],
    incumbent: float = -math.inf,
) -> list[Tokens]:
    """The first `count` suitable proposals of a strategy, filled up with uniform ones.

    Suitable is admissible, and a network that is neither in `avoid` nor already in the batch. What the strategy leaves
    missing after `MAX_ROUNDS` rounds is sampled uniformly; where that finds too few, samples are mutated until they are
    suitable; last of all networks in `avoid` are repeated, then networks within the batch.

    Args:
        problem: What is searched.
        count: How many proposals to return.
        draw: Gives candidates of the strategy; called with how many are still missing.
        generator: Randomness of the uniform sampling.
        avoid: Keys of networks that should not be proposed again.
        incumbent: Best reward so far; a network that could not beat it even at 100 % accuracy is not suitable.

    Returns:
        The proposals; none at all where nothing that is admissible could beat the incumbent, and the search is over.

    Raises:
        NasError: No admissible tokens among `MAX_UNIFORM` uniform samples.
    """
    chosen, known = dict[str, Tokens](), dict[str, Tokens]()
    hopeless = False

    def consider(tokens: Tokens) -> None:
        nonlocal hopeless
        if len(chosen) == count or not problem.admissible(tokens):
            return
        if not problem.can_beat(tokens, incumbent):
            hopeless = True
            return
        key = problem.network(tokens)
        (known if key in avoid else chosen).setdefault(key, tokens)

    for _ in range(MAX_ROUNDS):
        if len(chosen) == count:
            break
        for tokens in draw(count - len(chosen)):
            consider(tokens)
    for tokens in _more(problem, generator, lambda: len(chosen)):
        if len(chosen) == count:
            break
        consider(tokens)
    for _ in range(MAX_UNIFORM - MAX_UNIFORM_NEW):
        if chosen or known:
            break
        consider(sample_tokens(problem.decisions, generator))
    pool = list(chosen.values()) + [tokens for key, tokens in known.items() if key not in chosen]
    if not pool and hopeless:
        return []
    if not pool:
        raise NasError(f"none of {MAX_UNIFORM:,} uniform samples is admissible: widen the limits on MACs")
    return [pool[i % len(pool)] for i in range(count)]


def _more(problem: Problem, generator: np.random.Generator, found: Callable[[], int]) -> Iterator[Tokens]:
    """Uniform samples, then ways to what is admissible, each as long as `found` does not grow."""
    for _ in range(MAX_UNIFORM_NEW):
        yield sample_tokens(problem.decisions, generator)
    for _ in range(MAX_WALKS if problem.distance else 0):
        before = found()
        for tokens in _walk(problem, generator):
            yield tokens
            if found() > before:
                break


def _walk(problem: Problem, generator: np.random.Generator) -> Iterator[Tokens]:
    """From a uniform sample by mutations that lead no further away from what is admissible."""
    assert problem.distance is not None
    tokens = sample_tokens(problem.decisions, generator)
    away = problem.distance(tokens)
    for _ in range(MAX_STEPS):
        if not any(len(d.choices) > 1 and d.applies(tokens) for d in problem.decisions):
            return
        mutant = mutate_tokens(problem.decisions, tokens, generator)
        if (distance := problem.distance(mutant)) <= away:
            tokens, away = mutant, distance
            yield tokens


def repeats(told: Set[str], keys: Sequence[str]) -> float:
    """Share of `keys` that are in `told` or come earlier in `keys`."""
    seen, count = set(told), 0
    for key in keys:
        count += key in seen
        seen.add(key)
    return count / len(keys) if keys else 0.0


def frequencies(decisions: Sequence[Decision], batch: Sequence[Tokens]) -> list[list[float]]:
    """How often `batch` takes each choice of each decision, among the members that are asked; zeros if none is."""
    result = []
    for i, decision in enumerate(decisions):
        counts = np.zeros(len(decision.choices))
        for tokens in batch:
            counts[tokens[i]] += decision.applies(tokens)
        result.append([round(float(share), 4) for share in counts / max(1.0, counts.sum())])
    return result
