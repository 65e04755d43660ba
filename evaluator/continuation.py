"""A training that may go on later: its state on disk, and a schedule that does not depend on whether it will.

The learning rate rises and falls once over the first epochs, and once more over all that follow (a warm restart,
arXiv:1608.03983). So a network that is trained shortly, scored and then trained on ends with the weights that it would
have had in one go, to the bit on one device; and a state that was lost costs time and changes nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_space.io.files import write_atomic

_STATE = {"model", "optimizer", "generator", "scores"}


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where the state of one training is kept, and where its first cycle ends."""

    path: Path
    first_epochs: int
    """Epochs of the first cycle of the learning rate."""

    def load(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator, most_epochs: int
    ) -> list[tuple[float, float]]:
        """Take up a training.

        Args:
            model: Built and placed; takes the kept weights.
            optimizer: Of that model; takes the kept state.
            generator: Of the training's randomness; takes the kept state.
            most_epochs: A state of more epochs is of no use.

        Returns:
            Validation accuracy and loss after each epoch done; empty, and nothing changed, if no state is of use.
        """
        state = self._read()
        if state is None or len(state["scores"]) > most_epochs:
            return []
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        return [(accuracy, loss) for accuracy, loss in state["scores"]]

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        scores: list[tuple[float, float]],
    ) -> None:
        """Keep a training's state; the file is whole or not there."""
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "generator": generator.get_state()}
        content = io.BytesIO()
        torch.save(state | {"scores": scores}, content)
        write_atomic(self.path, content.getvalue())

    def _read(self) -> dict[str, Any] | None:
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception:  # noqa: BLE001 - on damaged input the reader raises anything
            return None
        return state if isinstance(state, dict) and state.keys() == _STATE else None
