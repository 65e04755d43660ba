"""How a network is trained: what all trainings have in common. Loads no torch, so that settings are checked at once."""

from __future__ import annotations

from dataclasses import dataclass

from search_space.errors import check_fields

WARM_UP = 0.3  # share of the steps in which the learning rate rises, as in the one-cycle policy


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Raises:
        InputError: Fields out of range, by name, with their values and what is allowed.
    """

    epochs: int = 5
    """Passes over the training images; MnasNet section 5 trains candidates for five."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 1e-2
    """Peak of AdamW's learning rate; from 3e-3 to 1e-2 networks rank alike, and this learns soonest."""
    weight_decay: float = 0.02
    """AdamW's decay of weights; normalisation and biases do not decay."""
    label_smoothing: float = 0.1
    """Share of the target spread over all classes; EfficientNet section 5.2."""

    def __post_init__(self) -> None:
        check_fields(
            (self.epochs >= 1, "epochs", self.epochs, "at least 1"),
            (self.batch_size >= 2, "batch_size", self.batch_size, "at least 2: BatchNorm needs two images"),
            (self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0"),
            (self.weight_decay >= 0, "weight_decay", self.weight_decay, "at least 0"),
            (0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "from 0 to below 1"),
        )


def one_cycle(step: int, steps: int, peak: float, warm_up: float = WARM_UP) -> float:
    """Learning rate of a step: linear up to the peak over the first `warm_up` of the steps, linear down to zero."""
    warm = max(1, round(warm_up * steps))
    return peak * min((step + 1) / warm, (steps - step) / max(1, steps - warm + 1), 1.0)
