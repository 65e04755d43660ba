"""RMSProp as TensorFlow has it, which the papers' recipe was tuned for.

PyTorch's differs in three ways that matter at a learning rate of 0.016 and eps of 1e-3: it starts the mean square at
0 instead of 1 (first steps far too long), adds eps outside the root, and lets the momentum forget the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class RMSProp(torch.optim.Optimizer):
    """Mean square m <- a m + (1 - a) g^2, velocity v <- b v + lr g / sqrt(m + eps), weight w <- w - v."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        decay: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        """Prepare to update `params`; the defaults are EfficientNet's (section 5.2, eps from its code)."""
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        assert closure is None, "the loss is not evaluated again"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["square"] = torch.ones_like(parameter)
            state["velocity"] = torch.zeros_like(parameter)
        assert parameter.grad is not None
        gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
        square, velocity = state["square"], state["velocity"]
        square.mul_(group["decay"]).addcmul_(gradient, gradient, value=1 - group["decay"])
        velocity.mul_(group["momentum"]).addcdiv_(gradient, (square + group["eps"]).sqrt_(), value=group["lr"])
        parameter.sub_(velocity)
