"""Networks to compare implementations on."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from search_space.architecture import Architecture, Stage
from search_space.space import SearchSpace

TINY = Architecture(
    resolution=9,
    classes=5,
    stem=8,
    stem_stride=1,
    stages=(
        Stage(op="linear", kernel=1, channels=8, layers=2),
        Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=16, se=0.25),
        Stage(op="linear", kernel=1, stride=2, channels=24, skip="none"),
    ),
    head=16,
)
"""For small images: a stem that keeps the side, and 1x1 layers without an activation."""

RESIDUAL = Architecture(
    resolution=65,
    classes=5,
    stem=16,
    stem_kernel=7,
    stem_pool=True,
    stages=(
        Stage(op="basic", kernel=3, channels=16, layers=2, skip="project"),
        Stage(op="bottleneck", expand=4, kernel=5, stride=2, channels=24, layers=2, se=0.25, skip="project"),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=24, layers=2, se=0.25, skip="project"),
        Stage(op="basic", kernel=3, stride=2, channels=32, se=0.25, skip="none"),
    ),
    head=0,
    activation="relu",
)
"""A ResNet's stem, both its layers beside MBConv, shortcuts with a convolution, and no head."""


def images(batch: int = 2, side: int = 32) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1))


def outputs(model: nn.Module) -> torch.Tensor:
    """In float64: the rounding of float32 alone moves B2's outputs by 1e-5 of the largest."""
    with torch.inference_mode():
        return copy.deepcopy(model).double().eval()(images().double())


@torch.no_grad()
def pretend_trained(model: nn.Module, seed: int = 0) -> None:
    """Random BatchNorm scales and shifts, and the statistics that go with them: every tensor matters."""
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.weight.uniform_(0.7, 1.3, generator=generator)
        norm.bias.uniform_(-0.2, 0.2, generator=generator)
        norm.momentum = 1.0
        norm.train()
    model(images(16, 64))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def random_networks(space: str, count: int, seed: int = 0) -> list[Architecture]:
    generator = np.random.default_rng(seed)
    loaded = SearchSpace.load(space)
    return [loaded.sample(generator) for _ in range(count)]
