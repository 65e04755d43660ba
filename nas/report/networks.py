"""Networks as the report draws them: tables without repetition, since thousands of networks share a few blocks."""

from __future__ import annotations

from typing import Any

from search_space.architecture import Architecture, Stage
from search_space.cost import count_stage, count_stem


class NetworkTable:
    """Collects networks; `data` is what the page reads.

    Attributes:
        stages: Distinct (op, expand, kernel, stride, channels, layers, se, skip, input channels, input side, output
            side, MACs, parameters).
        frames: Distinct (resolution, classes, stem, head, activation, dropout, MACs of the stem, its stride, its
            kernel, whether pooling follows).
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
            channels, side, indices = architecture.stem, count_stem(architecture)[0], []
            for stage in architecture.stages:
                indices.append(self._stage(stage, channels, side))
                channels, side = stage.channels, count_stage(stage, channels, side)[0]
            self._network_index[key] = len(self.networks)
            self.networks.append([self._frame(architecture), macs, params, *indices])
        return self._network_index[key]

    def _stage(self, stage: Stage, channels: int, side: int) -> int:
        place = (stage, channels, side)
        if place not in self._stage_index:
            out, conv, depthwise, squeeze_excite, params, _, _ = count_stage(stage, channels, side)
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
            self.stages.append([*own, channels, side, out, conv + depthwise + squeeze_excite, params])
        return self._stage_index[place]

    def _frame(self, network: Architecture) -> int:
        own = (
            network.resolution,
            network.classes,
            network.stem,
            network.head,
            network.activation,
            network.dropout,
            count_stem(network)[1],
            network.stem_stride,
            network.stem_kernel,
            network.stem_pool,
        )
        if own not in self._frame_index:
            self._frame_index[own] = len(self.frames)
            self.frames.append(list(own))
        return self._frame_index[own]
