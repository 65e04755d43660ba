"""Networks of timm, by name or as block strings, as architectures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import schema
from search_space.io.files import read_text
from search_space.scaling import EFFICIENTNETS, efficientnet
from search_space.timm_strings import ACTIVATIONS, parse_block_strings

_INSTALLED = {"mnasnet_a1": "mnasnet-a1", "mnasnet_b1": "mnasnet-b1", "mobilenetv2_100": "mobilenet-v2"}
_MNASNET_SMALL = (  # Google's MnasNet code, as timm has it
    "ds_r1_k3_s1_c8",
    "ir_r1_k3_s2_e3_c16",
    "ir_r2_k3_s2_e6_c16",
    "ir_r4_k5_s2_e6_c32_se0.25",
    "ir_r3_k3_s1_e6_c32_se0.25",
    "ir_r3_k5_s2_e6_c88_se0.25",
    "ir_r1_k3_s1_e6_c144",
)
_MOST_BYTES = 100_000  # of a file of block strings
NAMES = (*(f"efficientnet_{name}" for name in EFFICIENTNETS), *_INSTALLED, "mnasnet_small")
"""Networks of timm that are known by name."""


def import_network(words: Sequence[str], given: dict[str, object]) -> tuple[Architecture, str | None]:
    """A network of timm and its name, None for one of block strings.

    Args:
        words: One of `NAMES`, or block strings, quoted and bracketed as they may be, or a file of them.
        given: Fields of `Architecture` that were said apart.

    Raises:
        InputError: An unknown name, a block string that our networks cannot express, by number, or a wrong field.
    """
    if len(words) == 1 and words[0] in NAMES:
        return _with(_by_name(words[0]), given), words[0]
    strings = _split(words)
    if len(strings) == 1 and not re.match(r"[a-z]+_r\d", strings[0]):
        raise InputError(f"unknown network {strings[0][:80]!r}: known are {', '.join(NAMES)}, block strings, or a file")
    given = {"activation": "relu", **given}
    activation = given["activation"]
    assert activation in ACTIVATIONS
    return _with(Architecture(stages=parse_block_strings(strings, activation)), given), None


def _by_name(name: str) -> Architecture:
    if name in _INSTALLED:
        return Architecture.load(_INSTALLED[name])
    if name == "mnasnet_small":
        return Architecture(stem=8, stages=parse_block_strings(_MNASNET_SMALL, "relu"), activation="relu")
    return efficientnet(name.removeprefix("efficientnet_"), Architecture.load("efficientnet-b0"))


def _with(architecture: Architecture, given: dict[str, object]) -> Architecture:
    return schema.from_mapping(Architecture, {**schema.to_plain(architecture), **given}, "network")


def _split(words: Sequence[str]) -> list[str]:
    """The strings among quotes, brackets, commas and spaces, as they are pasted from code."""
    text = " ".join(words)
    if len(words) == 1 and os.path.isfile(words[0]):
        text = re.sub(r"#.*", "", read_text(Path(words[0]), _MOST_BYTES))
    strings = [part for part in re.split(r"[\s,'\"\[\]()]+", text) if part]
    if not strings:
        raise InputError("no block strings, e.g. ir_r2_k3_s2_e6_c24_se0.25")
    return strings
