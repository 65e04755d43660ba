"""Search spaces for tests."""

from __future__ import annotations

from search_space.space import SearchSpace

EVERY_DECISION = SearchSpace.from_yaml(
    """
format: nas-space/1
name: every-decision
reference:
  resolution: 16
  classes: 5
  stem: 16
  stem_stride: 1
  head: 32
  stages:
  - {op: mbconv, expand: 1, kernel: 3, channels: 16}
  - {op: mbconv, expand: 6, kernel: 3, stride: 2, channels: 24, layers: 2}
  - {op: mbconv, expand: 6, kernel: 5, stride: 2, channels: 40, layers: 2, se: 0.25}
network:
  stem: [8, 16]
  stem_stride: [1, 2]
  head: [0, 32, 48]
  activation: [silu, relu, relu6]
choices:
  op: [conv, linear, basic, bottleneck2, bottleneck4, mbconv1, mbconv3, mbconv6]
  kernel: [3, 5, 7]
  channels: {times: [0.5, 1.0, 1.5]}
  layers: [0, 1, 3]
  se: {choices: [0.0, 0.25, 0.5], when: {op: [mbconv1, mbconv3, mbconv6]}}
  skip: [none, identity, pool, project]
  stride: [1, 2]
blocks:
  block1: {layers: [1, 2]}
"""
)
"""A user's own, in which all is decided that can be."""

SMALL_YAML = """
format: nas-space/1
name: small
reference:
  resolution: 8
  classes: 4
  stem: 8
  stem_stride: 1
  head: 16
  activation: relu
  stages:
  - {op: mbconv, expand: 3, kernel: 3, channels: 8}
  - {op: mbconv, expand: 3, kernel: 3, stride: 2, channels: 16}
choices:
  op: [mbconv3, mbconv6]
  kernel: [3, 5]
  layers: [1, 2]
"""
SMALL = SearchSpace.from_yaml(SMALL_YAML)
"""Of 64 networks, trained in milliseconds."""
