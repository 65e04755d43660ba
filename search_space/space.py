"""SearchSpace: a set of architectures as a sequence of decisions, read from YAML (docs/spaces.md).

The factorized hierarchical space of MnasNet (arXiv:1807.11626, section 4.1): every block chooses once and repeats its
layer. Choices may coincide in what they build, so membership is by `Architecture.key`, never by tokens.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search_space import census
from search_space.architecture import Architecture, Layer, Stage
from search_space.cost import count
from search_space.decision import Decision, Space, Tokens, canonical, sample_tokens
from search_space.errors import InputError, NasError
from search_space.io import named
from search_space.space_format import SpaceDocument, SpaceParts, lay_out, read_space


class SearchSpace:
    """What a search may propose. `decisions` and `decode` are all that controllers use."""

    def __init__(self, parts: SpaceParts) -> None:
        """Lay out the decisions: the network's first, then block by block.

        Args:
            parts: What `search_space.space_format.read_space` gives.
        """
        self.document = parts.document
        self.name = parts.document.name
        self.description = parts.document.description
        self.reference = parts.reference
        self.network = dict(parts.network)
        self.blocks = parts.blocks
        self._asked = {field: values for field, values in self.network.items() if len(values) > 1}
        decisions = [Decision(name=field, choices=tuple(map(str, values))) for field, values in self._asked.items()]
        self._slices = [slice(0, len(decisions))]
        for block in self.blocks:
            start = len(decisions)
            decisions += block.decisions(start)
            self._slices.append(slice(start, len(decisions)))
        self.decisions: tuple[Decision, ...] = tuple(decisions)

    @classmethod
    def load(cls, path_or_name: str | Path) -> SearchSpace:
        """Read a YAML file, or an installed space by name, e.g. ``efficientnet``.

        Raises:
            InputError: No such file or name, or as `from_yaml`.
        """
        return cls.from_yaml(*named.read_config("search space", "spaces", path_or_name))

    @classmethod
    def from_yaml(cls, text: str, source: str = "space") -> SearchSpace:
        """Read a space's YAML, each text once.

        Raises:
            InputError: Not YAML, another format, unknown, missing or duplicate keys, wrong types or values.
        """
        return _from_yaml(text, source)

    @classmethod
    def around(cls, reference: Architecture, document: SpaceDocument) -> SearchSpace:
        """The space of a document around another reference than its own.

        Raises:
            InputError: Choices that do not go with it.
        """
        return cls(lay_out(document, reference, document.name))

    def decode(self, tokens: Sequence[int]) -> Architecture:
        """The architecture that `tokens` describe. Tokens of decisions that do not apply are ignored.

        Raises:
            ValueError: Wrong length, or a token outside its decision's choices.
        """
        built = self.block_stages(tokens)
        return Architecture(
            stages=tuple(stage for stage in built if stage is not None),
            **self._scalars(tuple(tokens[self._slices[0]])),
        )

    def block_stages(self, tokens: Sequence[int]) -> tuple[Stage | None, ...]:
        """The stage of each block; None where it is left out.

        Raises:
            ValueError: As `decode`.
        """
        tokens = tuple(tokens)
        if len(tokens) != len(self.decisions):
            raise ValueError(f"expected {len(self.decisions)} tokens, got {len(tokens)}")
        parts = (tokens[part] for part in self._slices[1:])
        return tuple(block.stage(part) for block, part in zip(self.blocks, parts, strict=True))

    def _scalars(self, tokens: Tokens) -> dict[str, Any]:
        """Fields of the architecture other than its stages."""
        values = {name: getattr(self.reference, name) for name in _SCALARS}
        values |= {name: choices[0] for name, choices in self.network.items()}
        for i, (name, choices) in enumerate(self._asked.items()):
            values[name] = choices[canonical(self.decisions[i : i + 1], tokens[i : i + 1])[0]]
        return values

    def encode(self, architecture: Architecture) -> Tokens:
        """Tokens whose network is the same as `architecture`.

        Raises:
            InputError: The space does not contain it; what is missing.
        """
        tokens = self._find(architecture)
        if tokens is None:
            raise InputError(f"not in the space {self.name}: {'; '.join(self.missing(architecture))}")
        return tokens

    def contains(self, architecture: Architecture) -> bool:
        """Whether the space can build the same network."""
        return self._find(architecture) is not None

    def missing(self, architecture: Architecture) -> list[str]:
        """What is missing to build `architecture`, one line a value, e.g. ``block3.kernel: 7 is not among 3, 5``."""
        if self.contains(architecture):
            return []
        lines = [
            f"{name}: {getattr(architecture, name)} is not among {', '.join(map(str, choices))}"
            for name, choices in self._scalar_choices().items()
            if getattr(architecture, name) not in choices
        ]
        number, most = len(architecture.stages), len(self.blocks)
        least = most - sum(block.optional for block in self.blocks)
        if not least <= number <= most:
            allowed = f"{least} to {most}" if least < most else str(most)
            return [*lines, f"blocks: {number} is not {allowed}"]
        if number < most:
            return lines or ["blocks: these are not offered together"]
        in_channels = architecture.stem
        for block, stage in zip(self.blocks, architecture.stages, strict=True):
            lines += block.missing(stage, in_channels)
            in_channels = stage.channels
        return lines

    def _scalar_choices(self) -> dict[str, tuple[Any, ...]]:
        return {name: self.network.get(name, (getattr(self.reference, name),)) for name in _SCALARS}

    def _find(self, architecture: Architecture) -> Tokens | None:
        """Tokens that build `architecture`, or None."""
        choices = self._scalar_choices()
        if any(getattr(architecture, name) not in choices[name] for name in _SCALARS):
            return None
        own = tuple(values.index(getattr(architecture, name)) for name, values in self._asked.items())
        layers = tuple(itertools.chain.from_iterable(architecture.stage_layers()))
        rest = self._parse(layers, 0)
        return None if rest is None else own + rest

    def _parse(self, layers: tuple[Layer, ...], index: int) -> Tokens | None:
        """Tokens of the blocks from `index` on that build `layers`; stage boundaries are free, as in the key."""
        if index == len(self.blocks):
            return None if layers else ()
        block = self.blocks[index]
        for depth in block.depths():
            in_channels = layers[0].in_channels if layers else 1  # of a block that is left out, any
            tokens = block.by_layers(in_channels).get(layers[:depth])
            rest = None if tokens is None else self._parse(layers[depth:], index + 1)
            if tokens is not None and rest is not None:
                return tokens + rest
        return None

    def sample(
        self, generator: np.random.Generator, macs: tuple[int, int] | None = None, max_tries: int = 10_000
    ) -> Architecture:
        """An architecture drawn uniformly, decision by decision.

        Args:
            generator: Source of randomness.
            macs: Lowest and highest MACs allowed; drawn again until it fits.
            max_tries: Bound on the draws.

        Raises:
            InputError: The band lies outside what the space can build.
            NasError: No draw fell into the band.
        """
        if macs is None:
            return self.decode(sample_tokens(self.decisions, generator))
        self._check_band(macs)
        for _ in range(max_tries):
            architecture = self.decode(sample_tokens(self.decisions, generator))
            if macs[0] <= count(architecture).macs <= macs[1]:
                return architecture
        raise NasError(f"none of {max_tries:,} samples of the space {self.name} has {macs[0]:,} to {macs[1]:,} MACs")

    @property
    def size(self) -> int:
        """Number of distinct token sequences."""
        return math.prod(len(values) for values in self._asked.values()) * math.prod(
            block.size for block in self.blocks
        )

    def networks(self) -> int | None:
        """Number of distinct networks, exact; None where neighbouring blocks could be mistaken for one."""
        return census.count_networks(self.blocks, self._scalar_choices())

    def macs_range(self) -> tuple[int, int]:
        """MACs of the smallest and of the largest network, exact."""
        return self._macs_range

    @functools.cached_property
    def _macs_range(self) -> tuple[int, int]:
        return census.macs_range(self.blocks, self._scalar_choices())

    def sample_macs(self, generator: np.random.Generator, samples: int = 2_000) -> list[int]:
        """Sorted MACs of uniform samples: the FLOPs distribution."""
        return sorted(count(self.sample(generator)).macs for _ in range(samples))

    def check_target(self, macs: int) -> None:
        """Refuse a target that no network of the space can be near.

        Raises:
            InputError: It lies below the smallest or above the largest network.
        """
        self._check_band((macs, macs))

    def _check_band(self, macs: tuple[int, int]) -> None:
        low, high = self.macs_range()
        if macs[0] > macs[1]:
            raise InputError(f"a band of MACs runs from low to high, got {macs[0]:,} to {macs[1]:,}")
        if macs[1] < low or macs[0] > high:
            wanted = f"{macs[0]:,}" if macs[0] == macs[1] else f"{macs[0]:,} to {macs[1]:,}"
            raise InputError(f"{wanted} MACs is outside the space {self.name}: {low:,} to {high:,}")


@functools.lru_cache(maxsize=16)
def _from_yaml(text: str, source: str) -> SearchSpace:
    return SearchSpace(read_space(text, source))


_SCALARS = tuple(field.name for field in dataclasses.fields(Architecture) if field.name != "stages")


def find_space(name: str) -> Space:
    """A space by name, YAML file or ``package.module:OBJECT``; a class is called without arguments.

    Raises:
        InputError: There is none of the name, or the file or the object does not describe one.
    """
    if named.is_code(name):
        own = named.import_object(name, "space")
        try:
            own = own() if isinstance(own, type) else own
        except Exception as error:
            raise InputError(f"space {name}: cannot be made: {type(error).__name__}: {error}") from error
        listed = isinstance(getattr(own, "decisions", None), list | tuple)
        if not (hasattr(own, "name") and listed and callable(getattr(own, "decode", None))):
            raise InputError(f"space {name}: must have name, decisions and decode, got {type(own).__name__}")
        space: Space = own
        return space
    return SearchSpace.load(name)
