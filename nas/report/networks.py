"""Networks as the report draws them: tables without repetition, since thousands of networks share a few blocks."""

from __future__ import annotations

import functools
from typing import Any

from search_space.architecture import Architecture, Stage
from search_space.cost import count


class NetworkTable:
    """Collects networks; `data` is what the page reads.

    Attributes:
        stages: Distinct (op, expand, kernel, stride, channels, layers, se, skip, input channels, input side, output
            side, MACs, parameters).
        frames: Distinct (resolution, classes, stem, head, activation, dropout, MACs of the stem, its stride).
        networks: (frame, MACs, parameters, stages...), by index into the other two.
    """

    def __init__(self) -> None:
        self.stages: list[list[Any]] = []
        self.frames: list[list[Any]] = []
        self.networks: list[list[int]] = []
        self._stage_index: dict[tuple[Stage, int, int], int] = {}
        self._frame_index: dict[tuple[Any, ...], int] = {}
        self._network_index: dict[str, int] = {}

    @property
    def data(self) -> dict[str, Any]:
        """The tables as plain JSON values."""
        return {"stages": self.stages, "frames": self.frames, "networks": self.networks}

    def add(self, architecture: Architecture, key: str, macs: int, params: int) -> int:
        """The index of a network, added if it is new.

        Args:
            architecture: What to draw.
            key: Its key, which the journal has already.
            macs: Its multiply-adds.
            params: Its parameters.
        """
        if key not in self._network_index:
            channels, side, indices = architecture.stem, _stem_side(architecture), []
            for stage in architecture.stages:
                indices.append(self._stage(stage, channels, side))
                channels, side = stage.channels, _half(side) if stage.stride == 2 else side
            self._network_index[key] = len(self.networks)
            self.networks.append([self._frame(architecture), macs, params, *indices])
        return self._network_index[key]

    def _stage(self, stage: Stage, channels: int, side: int) -> int:
        place = (stage, channels, side)
        if place not in self._stage_index:
            out = _half(side) if stage.stride == 2 else side
            own = [
                stage.op,
                stage.expand,
                stage.kernel,
                stage.stride,
                stage.channels,
                stage.layers,
                stage.se,
                stage.skip,
            ]
            self._stage_index[place] = len(self.stages)
            self.stages.append([*own, channels, side, out, *stage_cost(stage, channels, side)])
        return self._stage_index[place]

    def _frame(self, network: Architecture) -> int:
        own = (
            network.resolution,
            network.classes,
            network.stem,
            network.head,
            network.activation,
            network.dropout,
            network.stem_stride,
        )
        if own not in self._frame_index:
            self._frame_index[own] = len(self.frames)
            self.frames.append([*own[:-1], _stem_macs(network.stem, _stem_side(network)), network.stem_stride])
        return self._frame_index[own]


@functools.cache
def stage_cost(stage: Stage, in_channels: int, side: int) -> tuple[int, int]:
    """MACs and parameters of one stage: those of the smallest network around it, less what is around it.

    Args:
        stage: The stage.
        in_channels: Channels of its input.
        side: Height and width of its input.
    """
    whole = count(Architecture(resolution=2 * side, stem=in_channels, stages=(stage,), head=1, classes=1))
    out_side = _half(side) if stage.stride == 2 else side
    head_macs, classifier_macs = stage.channels * out_side * out_side, 1
    stem_params, head_params, classifier_params = 29 * in_channels, stage.channels + 2, 2
    macs = whole.macs - _stem_macs(in_channels, side) - head_macs - classifier_macs
    return macs, whole.params - stem_params - head_params - classifier_params


def _stem_macs(channels: int, out_side: int) -> int:
    return 27 * channels * out_side * out_side


def _stem_side(network: Architecture) -> int:
    return _half(network.resolution) if network.stem_stride == 2 else network.resolution


def _half(side: int) -> int:
    return (side + 1) // 2
