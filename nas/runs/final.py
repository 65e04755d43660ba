"""What the final of a search trains, and what that costs; `nas.trust.final` holds it."""

from __future__ import annotations

from typing import Any

from nas import config
from nas.config import SearchConfig
from nas.runs.references import KNOWN, of_parent
from search_space.errors import InputError


def check(settings: SearchConfig) -> None:
    """Refuse before the search a final that could not be held after it.

    Raises:
        InputError: The evaluator trains nothing, or fewer networks are proposed than are to be trained.
    """
    if settings.final is None:
        return
    if not config.load_class("evaluator", settings.evaluator.name)[0].trains:
        name = settings.evaluator.name
        raise InputError(f"--final {settings.final}: evaluator {name} trains nothing, so a final would compare nothing")
    if settings.time is None and settings.final > settings.trials:  # of a time's plan the final takes what there is
        raise InputError(f"--final {settings.final}: must be at most the number of trials, {settings.trials}")


def evaluator_in_full(settings: SearchConfig, described: dict[str, Any]) -> tuple[Any, Any]:
    """The class of a search's evaluator, and its config for training the networks themselves.

    Args:
        settings: The search's.
        described: What the evaluator said of itself: networks that are for its images are trained at their size.
    """
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    own = settings.classes is not None and described.get("classes") == settings.classes
    if not own or settings.resolution is None:
        return cls, cls.in_full(evaluator_config, None)
    return cls, cls.scaled_from(cls.in_full(evaluator_config, settings.resolution), settings.resolution)


def has_random(settings: SearchConfig) -> bool:
    """Whether a random search of equal cost takes part: not where the search is one, nor where the question is whether
    it found something better than the checkpoint that its networks inherit from."""
    return settings.controller.name != "random" and not of_parent(settings)


def num_known(settings: SearchConfig) -> int:
    """How many known networks take part."""
    return len(of_parent(settings)) or (1 if settings.classes is None else len(KNOWN))


def trainings(settings: SearchConfig) -> tuple[float, float]:
    """What the final costs at most, for whoever plans a search's time.

    Returns:
        Trainings in full, the winner's weights included, in those of the search's length of the networks that
        `evaluator_in_full` trains; and the random search, as a share of the search's trainings.
    """
    if settings.final is None:
        return 0.0, 0.0
    networks = settings.final + num_known(settings) + has_random(settings)
    return float((networks * settings.final_seeds + 1) * settings.final_longer), float(has_random(settings))
