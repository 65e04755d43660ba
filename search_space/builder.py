"""From an architecture to its PyTorch network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space.architecture import Architecture
from search_space.cpu_layers import pointwise
from search_space.layers import activate, batch_norm, build_layer, conv, initialize


class Network(nn.Module):
    """Stem, blocks, head where there is one, global average pooling, classifier; named as in timm's EfficientNet."""

    def __init__(self, architecture: Architecture, drop_path: float = 0.0) -> None:
        """Make the layers.

        Args:
            architecture: What to build.
            drop_path: Stochastic depth: layer i of n, from 0, drops at the rate `drop_path` * i / n.
        """
        super().__init__()
        rows = architecture.stage_layers()
        activation = architecture.activation
        num_layers = sum(map(len, rows))
        self.conv_stem = conv(3, architecture.stem, architecture.stem_kernel, architecture.stem_stride)
        self.bn1 = batch_norm(architecture.stem)
        self.act1 = activate(activation)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if architecture.stem_pool else nn.Identity()
        rates = iter([drop_path * i / num_layers for i in range(num_layers)])
        self.blocks = nn.Sequential(
            *(nn.Sequential(*(build_layer(layer, activation, next(rates)) for layer in row)) for row in rows)
        )
        self.has_head = architecture.head > 0
        if self.has_head:
            self.conv_head = conv(rows[-1][-1].out_channels, architecture.head)
            self.bn2 = batch_norm(architecture.head)
            self.act2 = activate(activation)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(architecture.dropout)
        self.classifier = nn.Linear(architecture.features, architecture.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, classes); any H and W, not only the architecture's resolution."""
        x = self.pool(self.act1(self.bn1(self.conv_stem(x))))
        x = self.blocks(x)
        if self.has_head:
            x = self.act2(self.bn2(pointwise(self.conv_head, x)))
        x = self.classifier(self.dropout(self.global_pool(x).flatten(1)))
        return x


def build_model(
    architecture: Architecture, *, drop_path: float = 0.0, generator: torch.Generator | None = None
) -> Network:
    """The network, initialised as EfficientNet is, in training mode, on the CPU.

    Neither reads nor changes torch's global random state.

    Args:
        architecture: What to build.
        drop_path: Stochastic depth (EfficientNet: 0.2): layer i of n, from 0, drops at `drop_path` * i / n.
        generator: Source of the initial weights; None is a fresh one of seed 0.

    Raises:
        ValueError: `drop_path` is not from 0 to below 1.
    """
    if not 0 <= drop_path < 1:
        raise ValueError(f"drop_path must be from 0 to below 1, got {drop_path}")
    # On the meta device the layers' own initialisation costs nothing and draws nothing.
    with torch.device("meta"):
        network = Network(architecture, drop_path)
    network.to_empty(device="cpu")
    initialize(network, torch.Generator().manual_seed(0) if generator is None else generator)
    return network
