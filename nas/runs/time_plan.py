"""What a search is to do in a given time: how many networks, and how long each is trained. Pure arithmetic.

First more networks, each trained just long enough to be ranked, until the model behind the controller has enough; then
longer trainings; then more networks again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.promoting import SHARE
from search_space.errors import InputError, check_fields
from search_space.io.amounts import format_clock

LEAST_TRIALS = 3
"""Networks below which there is nothing to choose from."""
ENOUGH_TRIALS = 128
"""Networks after which trainings get longer instead: the default controller comes within 0.1 % of the best network of
published benchmarks in a median of 112 to 142 evaluations."""
MOST_TRIALS = 1000
"""Networks after which a search ends whatever time is left: the controller's model of them grows slow."""
LEAST_PASSES = 32_000
"""Images shown (epochs times images, held-out ones included) below which a training says too little: on CIFAR-10 half
of it ranked networks with a tau of .55 (docs/trust.md)."""
LEAST_IMAGES = 1000
MOST_EPOCHS = 30
"""As long as a network is trained in full by default."""
AIM = 0.95
"""Share of the time that is planned for; the rest is for what comes in between."""
EFFICIENCY = 0.8
"""Of several workers: they wait for the last one of a batch, and share caches. Two on two cores were busy 94 to 96 %
of the time, each up to 8 % slower than one alone: at worst .87. More of them wait longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one training costs, from some timed steps."""

    seconds: float
    """Of one training on one worker, the mean of some networks of the searched band."""
    epochs: int = 1
    """That it has; 1 for an evaluator that knows trainings of one length only."""
    images: int = 1
    """That an epoch uses, held-out ones included, at most: likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the user said, and no plan changes; None for what is planned."""

    trials: int | None = None
    epochs: int | None = None
    all_images: bool = False
    """Whether the number of images stands as well: trainings use all that were measured."""
    promote: int | None = None
    """Planned as none: no measurement shows that training the best quarter on finds better networks in equal time."""
    batch: int = 1
    """Trials proposed at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What follows the search, in trainings as long as the search's."""

    reference: float = 1.0
    """Known networks beside the best."""
    trust: float = 0.0
    """The trust report, a share of the search's trainings."""
    final: float = 0.0
    """The full trainings of a final."""
    final_share: float = 0.0
    """What else a final takes, as a share of the search's trainings: 1 for a random search of equal cost."""

    def trainings(self, trials: float) -> float:
        """All of it, after so many trials."""
        return self.reference + self.final + (self.trust + self.final_share) * trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What there is to spend."""

    seconds: float
    """All the work on the run."""
    spent: float
    """Of these, until the first training begins."""
    workers: int
    """Trainings at a time."""
    reserve: Reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do; kept in the run's journal."""

    trials: int
    """Networks to propose."""
    open: bool
    """Whether more are proposed where time is left: not where the user said how many."""
    epochs: int
    """Of each training."""
    images: int
    """That an epoch uses, held-out ones included."""
    seconds: float
    """Of each training on one worker, as measured before the search."""
    workers: int
    """Trainings at a time, as planned."""
    reserve: Reserve
    started: float = 0.0
    """When the run was begun, seconds since 1970."""

    def __post_init__(self) -> None:
        check_fields(
            *((value >= 1, name, value, "at least 1") for name in _COUNTS for value in [getattr(self, name)]),
            (self.seconds >= 0, "seconds", self.seconds, "at least 0"),
        )


_COUNTS = ("trials", "epochs", "images", "workers")


def wall(trainings: float, seconds: float, workers: int) -> float:
    """Seconds that so many trainings of so many seconds each take on so many workers."""
    return trainings * seconds / (workers * EFFICIENCY if workers > 1 else 1)


def plan(measured: Measured, budget: Budget, said: Said) -> Plan:
    """Spend the time.

    Args:
        measured: What a training costs.
        budget: What there is to spend.
        said: What is not to be planned.

    Raises:
        InputError: Too little for `LEAST_TRIALS` trainings and what follows; the line says how much is needed.
    """
    shortest, longest = _lengths(measured, said)
    a_pass = wall(1, measured.seconds / (measured.epochs * measured.images), budget.workers)
    room = AIM * budget.seconds - budget.spent

    def cost(trials: float) -> float:
        """In trainings, with what follows."""
        return trials * _trainings_a_trial(said) + budget.reserve.trainings(trials)

    def affordable(passes: int) -> int:
        """Trials of so many images shown, in whole batches where it is more than one."""
        trials = math.floor((room / (a_pass * passes) - cost(0)) / (cost(1) - cost(0)))
        return trials // said.batch * said.batch if trials > said.batch else trials

    least = min(LEAST_TRIALS, said.trials or LEAST_TRIALS)
    if affordable(math.prod(shortest)) < least:
        seconds = measured.seconds * math.prod(shortest) / (measured.epochs * measured.images)
        raise InputError(_too_little(budget, least, seconds, cost(least)))
    trials = said.trials or min(affordable(math.prod(shortest)), ENOUGH_TRIALS)
    epochs, images = shortest
    if said.trials or trials == ENOUGH_TRIALS:
        epochs, images = _lengthened(shortest, longest, room / (a_pass * cost(trials)))
    if not said.trials and (epochs, images) == longest:
        trials = max(trials, min(affordable(epochs * images), MOST_TRIALS))
    return Plan(
        trials=trials,
        open=said.trials is None,
        epochs=epochs,
        images=images,
        seconds=measured.seconds * epochs * images / (measured.epochs * measured.images),
        workers=budget.workers,
        reserve=budget.reserve,
    )


def _lengths(measured: Measured, said: Said) -> tuple[tuple[int, int], tuple[int, int]]:
    """Epochs and images of the shortest training that ranks networks, and of the longest: images come before epochs,
    since other images teach more than the same ones again."""
    most = measured.images
    least = said.epochs or min(math.ceil(LEAST_PASSES / most), MOST_EPOCHS)
    images = min(most, max(LEAST_IMAGES, math.ceil(LEAST_PASSES / least)))
    if said.all_images or (not said.epochs and least > 1):
        images = most
    return (least, images), (said.epochs or MOST_EPOCHS, most)


def _lengthened(shortest: tuple[int, int], longest: tuple[int, int], passes: float) -> tuple[int, int]:
    """The longest training of at most so many images shown, and no shorter than the shortest: images before epochs."""
    epochs, images = shortest
    images = min(longest[1], max(images, math.floor(passes / epochs)))
    if images == longest[1]:
        epochs = min(longest[0], max(epochs, math.floor(passes / images)))
    return epochs, images


def _trainings_a_trial(said: Said) -> float:
    """What a trial costs on average, in short trainings: those that are trained on go on from where they were left."""
    if said.promote is None:
        return 1.0
    promoted = math.ceil(SHARE * said.batch)
    return (said.batch + promoted * (said.promote - 1)) / (said.batch + promoted)


def _too_little(budget: Budget, trials: int, seconds: float, trainings: float) -> str:
    """That so many trainings of so many seconds do not fit, and what would; they cost `trainings` with what follows."""
    least = math.ceil((budget.spent + wall(trainings, seconds, budget.workers)) / AIM)
    least = least if least <= 120 else 60 * math.ceil(least / 60)
    workers = f"{budget.workers} workers" if budget.workers > 1 else "one worker"
    return (
        f"--time {_as_typed(budget.seconds)} is too short for {trials} trainings of {seconds:.1f} s on {workers} "
        f"and what follows; possible is {_as_typed(least)} or more"
    )


def _as_typed(seconds: float) -> str:
    """A time as it is given to --time: in minutes where they are whole."""
    return f"{seconds:g}s" if seconds % 60 else f"{seconds / 60:g}m"


def describe(plan: Plan, seconds: float) -> list[str]:
    """Two lines: what is trained in the time, and what is kept for what follows.

    Args:
        plan: The plan.
        seconds: The time.
    """
    epochs = "1 epoch" if plan.epochs == 1 else f"{plan.epochs} epochs"
    length = "" if plan.images == 1 else f" for {epochs} on {plan.images:,} images"
    each = f"{plan.seconds:.1f} s" if plan.seconds >= 0.05 else f"{1000 * plan.seconds:.1g} ms"
    workers = f"{plan.workers} workers" if plan.workers > 1 else "one worker"
    trained = f"each trained{length} in about {each}" if length else f"about {each} each"
    reserve, trials = plan.reserve, plan.trials
    parts = {
        "reference networks": reserve.reference,
        "the trust report": reserve.trust * trials,
        "the final": reserve.final + reserve.final_share * trials,
    }
    kept = [
        f"{name} {format_clock(round(wall(part, plan.seconds, plan.workers)))}" for name, part in parts.items() if part
    ]
    return [
        f"Plan for {format_clock(round(seconds))}: {trials} networks, {trained}, on {workers}",
        *([f"Kept for what follows: {', '.join(kept)}"] if kept else []),
    ]
