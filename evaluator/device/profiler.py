"""The cost of a built network as the profiler thop sees it: a cross-check of the closed form in `search_space.cost`.

thop adds 4 operations for each element that a BatchNorm puts out and some for pooling; here those count nothing, so
that what is left are the multiply-adds of convolutions and linear layers.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass

import torch
from torch import nn

from search_space.architecture import Architecture
from search_space.builder import build_model

_COUNTED = (nn.Conv2d, nn.Linear)
_FREE = (nn.BatchNorm2d, nn.AdaptiveAvgPool2d, nn.AvgPool2d)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledCost:
    """What a built network costs, for one image."""

    macs: int
    """Multiply-adds of convolutions and linear layers, as thop counts them while the network runs."""
    params: int
    """Trainable parameters."""


def thop_cost(network: Architecture | nn.Module, resolution: int | None = None) -> ProfiledCost:
    """Run a network once on an empty image and count.

    Args:
        network: An architecture, which is built, or a network, of which a copy is profiled: thop leaves buffers, and
            after an error hooks, in what it is given.
        resolution: Side of the image, pixels; None for the architecture's, or 224.

    Raises:
        ValueError: The network has parameters in a module of a kind that would not be counted.
    """
    if isinstance(network, Architecture):
        model: nn.Module = build_model(network)
        resolution = resolution or network.resolution
    else:
        model = copy.deepcopy(network)
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is not None and not isinstance(module, _COUNTED + _FREE):
            raise ValueError(f"{name}: cannot count the multiply-adds of a {type(module).__name__}")
    params = sum(parameter.numel() for parameter in model.parameters())  # before thop adds buffers; it misses some
    device = next(model.parameters()).device
    image = torch.zeros(1, 3, resolution or 224, resolution or 224, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # thop imports distutils
        import thop

        macs, _ = thop.profile(model, (image,), custom_ops=dict.fromkeys(_FREE, _nothing), verbose=False)
    return ProfiledCost(macs=round(macs), params=params)


def _nothing(module: nn.Module, inputs: object, output: object) -> None:
    """A thop rule: no operations."""
