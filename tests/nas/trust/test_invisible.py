from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest

from evaluator.proxy import Proxy
from evaluator.proxy_config import ProxyConfig
from nas.trust.invisible import invisible
from search_space.architecture import Architecture
from search_space.decision import Decision
from search_space.space import SearchSpace

B0 = Architecture.load("efficientnet-b0")


class Widths:
    """The channels of one stage, and whether there is a second decision that they depend on."""

    name = "widths"
    decisions = (
        Decision(name="kernel", choices=("3", "5")),
        Decision(name="channels", choices=("16", "24", "40"), requires=((0, frozenset({1})),)),
    )

    def decode(self, tokens: Any) -> Architecture:
        first = dataclasses.replace(B0.stages[0], kernel=(3, 5)[tokens[0]], channels=(16, 24, 40)[tokens[1]])
        return dataclasses.replace(B0, stages=(first, *B0.stages[1:]))


def narrow(most: int, network: Architecture) -> Architecture:
    stages = tuple(dataclasses.replace(s, channels=min(s.channels, most)) for s in network.stages)
    return dataclasses.replace(network, stages=stages)


def test_choices_that_make_one_network_are_named() -> None:
    assert invisible(Widths(), lambda network: network) == []
    assert invisible(Widths(), functools.partial(narrow, 24)) == ["channels 24 and 40"]
    every = ["kernel 3 and 5", "channels 16 and 24", "channels 16 and 40", "channels 24 and 40"]
    assert invisible(Widths(), lambda network: B0) == every


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("demo", ["block2.channels 24 and 32", "block3.channels 24 and 32"]), ("small", []), ("imagenet", [])],
)
def test_what_the_proxy_cannot_see_of_the_default_space(preset: str, expected: list[str]) -> None:
    config: ProxyConfig = Proxy.presets[preset]
    assert invisible(SearchSpace.load("efficientnet"), functools.partial(Proxy.measured, config)) == expected
