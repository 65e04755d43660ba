"""Networks drawn uniformly: each distinct network of a space is as likely as any other.

Tokens drawn decision by decision favour what many tokens build: a choice that makes no difference after rounding, a
block that is left out. Here the networks that can still follow are counted block by block, as in
`search_space.census`, and each block draws in proportion to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Tokens
from search_space.errors import NasError
from search_space.space import SearchSpace

MAX_TRIES = 100_000
"""Networks drawn until one fits the band."""


@dataclass(frozen=True, slots=True)
class _Options:
    """What a block can build on some number of channels."""

    tokens: list[Tokens]
    ends: list[int]
    """Channels after it."""
    networks: NDArray[np.float64]
    """Networks from this block on, of this and all options before."""


class UniformNetworks:
    """Draws from a space."""

    def __init__(self, space: SearchSpace, macs: tuple[int, int] | None = None) -> None:
        """Count what there is to draw.

        Args:
            space: One of ours.
            macs: Lowest and highest MACs of what is drawn; None for no limit.
        """
        self.space = space
        self.macs = macs
        self._scalars = {name: values for name, values in space.network.items() if len(values) > 1}
        self._stems = space.network.get("stem", (space.reference.stem,))
        self._options: dict[tuple[int, int], _Options] = {}
        self._networks = np.cumsum([self._number(0, stem) for stem in self._stems])

    def draw(self, generator: np.random.Generator) -> Architecture:
        """A network.

        Raises:
            NasError: No network of `MAX_TRIES` fell into the band.
        """
        for _ in range(MAX_TRIES):
            tokens = self._draw(generator)
            architecture = self.space.decode(tokens)
            fits = self.macs is None or self.macs[0] <= count(architecture).macs <= self.macs[1]
            # Of several ways to cut the same layers into blocks, one counts.
            if fits and self.space.encode(architecture) == tokens:
                return architecture
        raise NasError(f"none of {MAX_TRIES:,} networks of the space {self.space.name} has {self.macs} MACs")

    def _draw(self, generator: np.random.Generator) -> Tokens:
        stem = _pick(self._networks, generator)
        tokens = [
            stem if name == "stem" else int(generator.integers(len(values))) for name, values in self._scalars.items()
        ]
        channels = self._stems[stem]
        for index in range(len(self.space.blocks)):
            options = self._after(index, channels)
            chosen = _pick(options.networks, generator)
            tokens += options.tokens[chosen]
            channels = options.ends[chosen]
        return tuple(tokens)

    def _after(self, index: int, channels: int) -> _Options:
        if (index, channels) not in self._options:
            table = self.space.blocks[index].by_layers(channels)
            ends = [layers[-1].out_channels if layers else channels for layers in table]
            networks = np.cumsum([self._number(index + 1, end) for end in ends])
            self._options[index, channels] = _Options(list(table.values()), ends, networks)
        return self._options[index, channels]

    def _number(self, index: int, channels: int) -> float:
        """Networks that the blocks from `index` on can build."""
        return 1.0 if index == len(self.space.blocks) else float(self._after(index, channels).networks[-1])


def _pick(cumulated: NDArray[np.float64], generator: np.random.Generator) -> int:
    """An index, drawn in proportion to what it adds."""
    return int(np.searchsorted(cumulated, generator.random() * cumulated[-1], side="right"))
