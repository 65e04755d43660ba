"""From a time to a search that ends within it: some steps are timed, and what the user did not say is planned.

Networks are trained as they are deployed where that leaves time for `ENOUGH_FULL` of them, else as the evaluator's
stated miniature.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from controller.proposals import select
from evaluator.base import Evaluator
from nas import config
from nas.config import SearchConfig
from nas.engines.base import Job
from nas.engines.local import describe_safely, estimate_seconds
from nas.problem import make_problem
from nas.runs import final
from nas.runs.clock import MOST_END_SECS
from nas.runs.deployment import deployed
from nas.runs.references import reference_networks
from nas.runs.time_plan import Budget, Measured, Plan, Reserve, Said, plan
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space
from search_space.errors import InputError
from search_space.seeding import derive_seed

PLANNED = ("time", "trials", "batch", "evaluator")
"""Settings that a run with a time takes from its own record when it goes on."""
ENOUGH_FULL = 32
"""Networks at full size that are worth more than many miniatures: a choice, as many as a search without a time has."""
TIMED = 5
"""Networks of which some steps are timed."""
TIMED_SHARE = 0.02
"""Share of the time after which no further network is timed."""
START_SECS = 12.0
"""Until several workers have started and made their evaluators."""
PATIENCE = 5
"""A network is given up no earlier than after so many times what a training should take."""


def plan_search(
    settings: SearchConfig,
    space: Space,
    said: Sequence[Mapping[str, Any]],
    workers: int,
    trust: float,
    started: float,
) -> tuple[SearchConfig, Plan]:
    """The settings of a new search with what was planned for its time, and the plan.

    Args:
        settings: The resolved config, with a time.
        space: Its space.
        said: What it was resolved from: what stands there is not planned.
        workers: Evaluations at a time.
        trust: What the trust report may cost, as a share of the search's trainings.
        started: `time.monotonic()` when the work began.

    Raises:
        InputError: The evaluator cannot tell how long a training takes, or the time is too short.
        NasError: No training can be timed.
    """
    assert settings.time is not None
    settings = with_batch(settings, said, workers)
    stands, networks = _said(settings, said), _sample(settings, space)

    def budget(settings: SearchConfig, measured: Measured, described: dict[str, Any]) -> Budget:
        reserve = _reserve(settings, measured, described, networks, trust)
        elapsed = time.monotonic() - started
        starting = (START_SECS if workers > 1 else 0.0) + (settings.share or 0.0)
        spent = elapsed + starting + min(elapsed, MOST_END_SECS)
        return Budget(seconds=settings.time or 0.0, spent=spent, workers=workers, reserve=reserve)

    measured, described = _measure(settings, networks, stands.trials)
    given = budget(settings, measured, described)
    full = dataclasses.replace(settings, evaluator=deployed(config.resolve(said), said, full=True).evaluator)
    if full != settings and (
        described.get("device") != "cpu"
        or described.get("resolution") == settings.resolution
        or _fits(_at_full_size(measured, settings, networks, described), given, stands)
    ):  # else the images need not be decoded at another size first
        measured_full, described = _measure(full, networks, stands.trials)
        given_full = budget(full, measured_full, described)
        if _fits(measured_full, given_full, stands):
            settings, measured, given = full, measured_full, given_full
    found = dataclasses.replace(plan(measured, given, stands), started=time.time())
    return _with_plan(settings, found, measured), found


def _reserve(
    settings: SearchConfig,
    measured: Measured,
    described: dict[str, Any],
    networks: Sequence[Architecture],
    trust: float,
) -> Reserve:
    """What follows the search; the final's trainings are of whole networks, so some of their steps are timed too."""
    known = len(reference_networks(settings, settings.target_flops))
    trainings, share = final.trainings(settings)
    if trainings:
        seconds, _ = _timed(settings, *final.evaluator_in_full(settings, described), networks)
        trainings *= (seconds or measured.seconds) / measured.seconds
    return Reserve(reference=known, trust=trust, final=trainings, final_share=share)


def with_batch(settings: SearchConfig, said: Sequence[Mapping[str, Any]], workers: int) -> SearchConfig:
    """The settings with a batch that keeps all workers busy, where nobody says how large it is."""
    if any("batch" in layer for layer in said):
        return settings
    return dataclasses.replace(settings, batch=math.ceil(settings.batch / workers) * workers)


def _said(settings: SearchConfig, layers: Sequence[Mapping[str, Any]]) -> Said:
    """What stands; a preset of the evaluator stands for the length of its trainings."""
    evaluator = {key for layer in layers if isinstance(part := layer.get("evaluator"), Mapping) for key in part}
    trials = settings.trials if any("trials" in layer for layer in layers) else None
    epochs: int | None = 1
    if _has_length(settings):
        epochs = settings.evaluator.settings["epochs"] if evaluator & {"epochs", "preset"} else None
    all_images = settings.evaluator.settings.get("max_images") is not None
    return Said(trials=trials, epochs=epochs, all_images=all_images, promote=settings.promote, batch=settings.batch)


def _has_length(settings: SearchConfig) -> bool:
    """Whether the evaluator's trainings may be longer or shorter."""
    return settings.evaluator.settings.keys() >= {"epochs", "max_images"}


def _sample(settings: SearchConfig, space: Space) -> list[Architecture]:
    """Some networks that the search might propose."""
    problem = make_problem(space, settings.objective, settings.band)
    generator = np.random.default_rng(derive_seed(settings.seed, "timed"))
    return [space.decode(tokens) for tokens in select(problem, TIMED, lambda _: (), generator, set())]


def _measure(
    settings: SearchConfig, networks: Sequence[Architecture], trials: int | None
) -> tuple[Measured, dict[str, Any]]:
    """What a training costs, and what the evaluator says of itself; unknown only where trials are said."""
    seconds, described = _timed(settings, *config.make("evaluator", settings.evaluator), networks)
    if seconds is None and not trials:
        name = settings.evaluator.name
        raise InputError(f"--time: evaluator {name} cannot tell how long a network takes; say --trials as well")
    mean = max(1e-6, seconds or 0.0)
    images = described.get("train_images", 0) + described.get("validation_images", 0)
    if not (_has_length(settings) and images):
        return Measured(seconds=mean), described
    return Measured(seconds=mean, epochs=settings.evaluator.settings["epochs"], images=images), described


def _timed(
    settings: SearchConfig, cls: type[Evaluator[Any]], evaluator_config: Any, networks: Sequence[Architecture]
) -> tuple[float | None, dict[str, Any]]:
    """Seconds of a training, the mean of some networks, None if unknown; and what the evaluator says of itself."""
    evaluator = cls(evaluator_config)
    began, seconds = time.monotonic(), list[float]()
    for network in networks:
        found = estimate_seconds(evaluator, Job(trial=-1, architecture=network, seed=settings.seed))
        if found is None:
            return None, describe_safely(evaluator)
        seconds.append(found)
        if time.monotonic() - began > TIMED_SHARE * (settings.time or 0.0):
            break
    return sum(seconds) / len(seconds), describe_safely(evaluator)


def _at_full_size(
    measured: Measured, settings: SearchConfig, networks: Sequence[Architecture], described: Mapping[str, Any]
) -> Measured:
    """What a training would cost at full size, going by MACs."""
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    small = [cls.measured(evaluator_config, network) for network in networks]
    trained = [dataclasses.replace(network, resolution=described["resolution"]) for network in small]
    ratio = sum(count(n).macs for n in networks) / sum(count(n).macs for n in trained)
    return dataclasses.replace(measured, seconds=measured.seconds * ratio)


def _fits(measured: Measured, budget: Budget, stands: Said) -> bool:
    """Whether networks that cost so much are many enough."""
    try:
        trials = plan(measured, budget, dataclasses.replace(stands, trials=None)).trials
    except InputError:
        return False
    return trials >= min(stands.trials or ENOUGH_FULL, ENOUGH_FULL)


def _with_plan(settings: SearchConfig, found: Plan, measured: Measured) -> SearchConfig:
    """The settings as planned."""
    evaluator = dict(settings.evaluator.settings)
    if _has_length(settings):
        evaluator["epochs"] = found.epochs
        if found.images < measured.images:
            evaluator["max_images"] = found.images
    if isinstance(limit := evaluator.get("timeout"), int | float):
        evaluator["timeout"] = max(float(limit), PATIENCE * found.seconds)
    return dataclasses.replace(
        settings, trials=found.trials, evaluator=dataclasses.replace(settings.evaluator, settings=evaluator)
    )
