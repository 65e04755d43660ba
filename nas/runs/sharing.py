"""A search's shared weights: trained first, in the run's directory, and what they guess of each network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluator.shared.evaluator import Shared, SharedConfig, load_scorer, train
from evaluator.shared.training import LEARNED, MOST_SETS
from nas import config
from nas.config import SearchConfig
from nas.history import fold
from nas.journal import Journal, refuse_link, uninterrupted
from search_space.architecture import Architecture
from search_space.decision import Space
from search_space.errors import InputError
from search_space.io.amounts import format_clock
from search_space.seeding import derive_seed
from search_space.space import SearchSpace
from search_space.uniform import UniformNetworks

if TYPE_CHECKING:
    from evaluator.shared.network import SharedNetwork
    from evaluator.shared.training import Progress

CHECKED = 16
"""Networks whose mean loss says whether the weights have learned."""
Say = Callable[[str], None]
Loss = Callable[[Architecture], float]


def shared_config(settings: SearchConfig, space: Space) -> SharedConfig:
    """How a search's shared weights are trained: as its evaluator says, or on the images that it trains on.

    Raises:
        InputError: It trains on none, or the space is not one of ours.
    """
    if not isinstance(space, SearchSpace):
        raise InputError(f"share: the space {settings.space} does not say which layers its networks have in common")
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    if isinstance(evaluator_config, SharedConfig):
        return evaluator_config
    images = cls.images(evaluator_config)
    if not images:
        raise InputError(f"share: evaluator {settings.evaluator.name} trains on no images; proxy does")
    shared = SharedConfig(**images, seed=settings.seed)
    if settings.resolution is None or shared.resolution not in (None, settings.resolution):
        return shared
    return Shared.deployed_as(shared, settings.resolution, settings.target_flops)


def prepare(
    settings: SearchConfig, shared: SharedConfig, space: Space, weights: Path, journal: Journal, say: Say
) -> Loss | None:
    """Train the weights as far as they are not trained yet, and give what scores a network by them: its loss, nats.

    Weights that have learned next to nothing give None: their guess would be noise.

    How many steps fit into the time is written into the journal: weights that are lost are trained as far again.

    Args:
        settings: Of the search; `share` is the time.
        shared: As `shared_config` gives it.
        space: Of the networks.
        weights: Where they are kept.
        journal: Of the run, open for writing.
        say: Told how far it is, line by line.

    Raises:
        InputError: The weights that are there are a link, damaged, or of another search.
        NasError: The training diverges.
    """
    assert settings.share is not None
    assert isinstance(space, SearchSpace), "shared_config refuses others"
    refuse_link(weights)
    low, high = settings.band or (0.0, math.inf)
    lowest, highest = space.macs_range()
    macs = max(lowest, int(low * settings.target_flops)), int(min(highest, high * settings.target_flops))
    known = fold(journal.events(), journal.path).shared_steps
    if known is None or not weights.exists():
        trained = train(
            shared,
            space,
            macs,
            weights,
            seconds=settings.share if known is None else math.inf,
            steps=math.inf if known is None else known,
            begin=lambda network: say(_cost(network, settings.share or 0.0)),
            report=lambda progress: say(_progress(progress, settings.share or 0.0)),
        )
        if known is None:
            with uninterrupted():  # between the two the time would be noted again
                if settings.time is not None and trained.before:  # the clock of this process knows nothing of it
                    journal.append({"event": "worked", "seconds": round(trained.before, 3)})
                journal.append({"event": "shared", "steps": trained.steps, "seconds": round(trained.seconds, 3)})
    scorer = load_scorer(shared, weights)
    uniform, generator = UniformNetworks(space, macs), np.random.default_rng(derive_seed(settings.seed, "learned"))
    loss = float(np.mean(scorer.losses([uniform.draw(generator) for _ in range(CHECKED)])))
    sets = f"{scorer.sets} set{'s' if scorer.sets > 1 else ''} of shared weights"
    say(f"{sets}: loss {loss:.3f} on held-out images, {scorer.chance:.3f} is that of guessing")
    if loss > LEARNED * scorer.chance:
        say("Shared weights: they have learned next to nothing, so they guess nothing; give them longer")
        return None
    return lambda architecture: scorer.losses([architecture])[0]


def _cost(network: SharedNetwork, seconds: float) -> str:
    """What is about to begin."""
    megabytes = (3 + MOST_SETS) * 4 * network.size / 1e6
    return (
        f"Shared weights: up to {MOST_SETS} sets of {network.size / 1e6:.1f}M at {network.width:g} times the channels, "
        f"{megabytes:.0f} MB in memory and on disk; trained for at most {format_clock(round(seconds))}, once for all "
        "networks"
    )


def _progress(progress: Progress, seconds: float) -> str:
    left = format_clock(round(max(0.0, seconds - progress.seconds)))
    return (
        f"shared weights: step {progress.steps}  loss {progress.loss:.3f}  "
        f"{progress.images_per_sec:.0f} images/s  {left} left"
    )
