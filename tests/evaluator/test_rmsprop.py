import math

import pytest
import torch

from evaluator.rmsprop import RMSProp


def test_two_steps_by_hand() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = RMSProp([weight], lr=0.1, decay=0.9, momentum=0.5, eps=0.01, weight_decay=0.25)
    m, v, w = 1.0, 0.0, 2.0
    for gradient in (3.0, -1.0):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        g = gradient + 0.25 * w
        m = 0.9 * m + 0.1 * g * g
        v = 0.5 * v + 0.1 * g / math.sqrt(m + 0.01)
        w -= v
        assert weight.item() == pytest.approx(w, rel=1e-12)


def test_the_first_step_is_not_too_long() -> None:
    """PyTorch's own, from a mean square of 0, moves 0.32 at once where this moves 0.1."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = RMSProp([weight], lr=0.1)
    weight.grad = torch.ones(1)
    optimizer.step()
    assert weight.item() == pytest.approx(-0.1, rel=1e-3)


def test_what_has_no_gradient_stays() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    RMSProp([weight], lr=0.1).step()
    assert weight.item() == 1
