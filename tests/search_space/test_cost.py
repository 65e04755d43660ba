import dataclasses

import numpy as np
import pytest

from evaluator.tabular.accel_nasbench import read
from search_space.architecture import Architecture, Stage
from search_space.cost import Cost, count, count_parts, count_stage
from search_space.space import SearchSpace
from tests.networks import RESIDUAL, TINY, random_networks


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        ("efficientnet-b0", 385_814_752, 5_288_548),
        ("mnasnet-a1", 311_579_072, 3_887_038),
        ("mnasnet-b1", 314_415_872, 4_383_312),
        ("resnet-18", 1_814_073_344, 11_689_512),
        ("resnet-50", 4_089_184_256, 25_557_032),
    ],
)
def test_published_networks(name: str, macs: int, params: int) -> None:
    cost = count(Architecture.load(name))
    assert (cost.macs, cost.params) == (macs, params)


def test_parts_of_b0() -> None:
    cost = count(Architecture.load("efficientnet-b0"))
    assert cost.conv == 349_375_488
    assert cost.depthwise == 34_532_064
    assert cost.squeeze_excite == 627_200
    assert cost.classifier == 1_280_000


def test_one_layer_by_hand() -> None:
    stage = Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=6, se=0.5)
    cost = count(Architecture(resolution=7, classes=2, stem=4, stages=(stage,), head=10))
    # sides: 7 -> 4 (stem) -> 2 (block); 4 channels expanded to 12, squeezed to 2
    assert cost == Cost(
        conv=27 * 4 * 16 + 4 * 12 * 16 + 12 * 6 * 4 + 6 * 10 * 4,
        depthwise=25 * 12 * 4,
        squeeze_excite=2 * 12 * 2,
        classifier=10 * 2,
        params=(27 * 4 + 8)
        + (4 * 12 + 24)
        + (25 * 12 + 24)
        + (12 * 2 + 2 + 2 * 12 + 12)
        + (12 * 6 + 12)
        + (6 * 10 + 20)
        + (10 * 2 + 2),
        batchnorm_elements=4 * 16 + 12 * 16 + 12 * 4 + 6 * 4 + 10 * 4,
        squeeze_excite_pool_elements=12 * 4 + 12,
        head_pool_elements=10 * 4 + 10,
    )


def test_a_bottleneck_by_hand() -> None:
    stage = Stage(op="bottleneck", expand=4, kernel=3, stride=2, channels=8, se=0.5, skip="project")
    cost = count(Architecture(resolution=15, classes=3, stem=4, stem_kernel=7, stem_pool=True, stages=(stage,), head=0))
    # sides: 15 -> 8 (stem) -> 4 (pool) -> 2 (block); 2 channels inside, squeezed to 2
    assert cost == Cost(
        conv=49 * 3 * 4 * 64 + 4 * 2 * 16 + 9 * 2 * 2 * 4 + 2 * 8 * 4 + 4 * 8 * 4,
        depthwise=0,
        squeeze_excite=2 * 8 * 2,
        classifier=8 * 3,
        params=(49 * 3 * 4 + 8)
        + (4 * 2 + 4)
        + (9 * 2 * 2 + 4)
        + (2 * 8 + 16)
        + (8 * 2 + 2 + 2 * 8 + 8)
        + (4 * 8 + 16)
        + (8 * 3 + 3),
        batchnorm_elements=4 * 64 + 2 * 16 + 2 * 4 + 8 * 4 + 8 * 4,
        squeeze_excite_pool_elements=8 * 4 + 8,
        head_pool_elements=8 * 4 + 8,
    )


def test_convolution_stage_by_hand() -> None:
    stage = Stage(op="conv", kernel=3, channels=8, layers=3, se=0.25)
    cost = count(Architecture(resolution=8, classes=2, stem=4, stages=(stage,), head=10))
    assert cost.conv == 27 * 4 * 16 + (9 * 4 * 8 + 2 * 9 * 8 * 8) * 16 + 8 * 10 * 16
    assert cost.depthwise == 0
    assert cost.squeeze_excite == 2 * 8 * 1 + 2 * (2 * 8 * 2)


def test_equal_networks_cost_the_same() -> None:
    architecture = SearchSpace.load("efficientnet").sample(np.random.default_rng(0))
    stages = [dataclasses.replace(stage, layers=1) for stage in architecture.stages for _ in range(stage.layers)]
    split, repeated = [], -1
    for stage in architecture.stages:
        for index in range(stage.layers):
            repeated += 1
            split.append(dataclasses.replace(stages[repeated], stride=stage.stride if index == 0 else 1))
    other = dataclasses.replace(architecture, stages=tuple(split))
    assert other.key == architecture.key
    assert count(other) == count(architecture)


def test_five_thousand_published_networks() -> None:
    published = read()
    assert len(published) == 5138
    space = SearchSpace.load("accel-nasbench")
    for item in published:
        assert [stage.stride for stage in item.architecture.stages] == [1, 2, 2, 2, 1, 2, 1]
        assert [stage.channels for stage in item.architecture.stages] == [16, 24, 40, 80, 112, 192, 320]
        cost = count(item.architecture)
        # Their profiler adds BatchNorm at 4 an output element, and the elements of the pools.
        stored = cost.macs + 4 * cost.batchnorm_elements + cost.squeeze_excite_pool_elements + cost.head_pool_elements
        assert (stored, cost.params) == (item.macs, item.params)
        assert space.decode(space.encode(item.architecture)).key == item.architecture.key


@pytest.mark.parametrize("name", ["efficientnet", "mnasnet", "accel-nasbench"])
def test_the_parts_add_up(name: str) -> None:
    for network in [*random_networks(name, 20), TINY, RESIDUAL]:
        parts, cost = count_parts(network), count(network)
        assert sum(part.macs for part in parts) == cost.macs
        assert sum(part.params for part in parts) == cost.params
        assert [part.layers for part in parts if part.name.startswith("stage")] == [
            stage.layers for stage in network.stages
        ]
    assert [part.side for part in count_parts(TINY)] == [9, 9, 5, 3, 3, 1]
    assert [part.name for part in count_parts(TINY)][-3:] == ["stage 3", "head", "classifier"]


def test_cost_of_a_stage_by_hand() -> None:
    b0 = Architecture.load("efficientnet-b0")
    side, conv, depthwise, squeeze_excite, params, _, _ = count_stage(b0.stages[0], 32, 112)
    # 112 x 112: depthwise 3x3 on 32 channels, SE 32 -> 8 -> 32, projection to 16.
    assert (side, conv, depthwise, squeeze_excite) == (112, 112**2 * 32 * 16, 112**2 * 9 * 32, 2 * 32 * 8)
    assert params == (9 * 32 + 64) + (2 * 32 * 8 + 8 + 32) + (32 * 16 + 32)
