import numpy as np
import pytest

from nas.report.networks import NetworkTable, stage_cost
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io import named
from search_space.space import SearchSpace
from tests.networks import TINY


def rebuilt_macs(table: NetworkTable, index: int) -> tuple[int, int]:
    """MACs and parameters from the table's stages, with stem, head and classifier added by hand."""
    frame, _, _, *stages = table.networks[index]
    resolution, classes, stem, head, _, _, stem_macs, stem_stride = table.frames[frame]
    rows = [table.stages[stage] for stage in stages]
    channels, side = rows[-1][4], rows[-1][10]
    macs = stem_macs + sum(row[11] for row in rows) + channels * head * side * side + head * classes
    params = 29 * stem + sum(row[12] for row in rows) + (channels + 2) * head + (head + 1) * classes
    assert stem_macs == 27 * stem * (-(-resolution // stem_stride)) ** 2
    return macs, params


def add(table: NetworkTable, architecture: Architecture) -> int:
    cost = count(architecture)
    return table.add(architecture, architecture.key, cost.macs, cost.params)


@pytest.mark.parametrize("name", named.config_names("architectures"))
def test_stages_add_up_to_known_networks(name: str) -> None:
    table, architecture = NetworkTable(), Architecture.load(name)
    cost = count(architecture)
    assert rebuilt_macs(table, add(table, architecture)) == (cost.macs, cost.params)


def test_stages_add_up_without_a_stride_in_the_stem() -> None:
    table, cost = NetworkTable(), count(TINY)
    assert rebuilt_macs(table, add(table, TINY)) == (cost.macs, cost.params)


def test_stages_add_up_to_random_networks() -> None:
    table, space, generator = NetworkTable(), SearchSpace.load("mnasnet"), np.random.default_rng(0)
    for _ in range(200):
        architecture = space.sample(generator)
        cost = count(architecture)
        assert rebuilt_macs(table, add(table, architecture)) == (cost.macs, cost.params)


def test_a_network_is_held_once() -> None:
    table, b0 = NetworkTable(), Architecture.load("efficientnet-b0")
    assert add(table, b0) == add(table, b0) == 0
    assert len(table.networks) == 1
    assert [row[10] for row in table.stages] == [112, 56, 28, 14, 14, 7, 7]  # the sides that the papers list


def test_cost_of_a_stage_by_hand() -> None:
    b0 = Architecture.load("efficientnet-b0")
    # 112 x 112: depthwise 3x3 on 32 channels, SE 32 -> 8 -> 32, projection to 16.
    assert stage_cost(b0.stages[0], 32, 112) == (
        112 * 112 * (9 * 32 + 32 * 16) + 2 * 32 * 8,
        (9 * 32 + 64) + (2 * 32 * 8 + 8 + 32) + (32 * 16 + 32),
    )
