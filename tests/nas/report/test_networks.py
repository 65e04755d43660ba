import numpy as np
import pytest

from nas.report.networks import NetworkTable
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io import named
from search_space.space import SearchSpace
from tests.networks import RESIDUAL, TINY


def rebuilt_macs(table: NetworkTable, index: int) -> tuple[int, int]:
    """MACs and parameters from the table's stages, with stem, head and classifier added by hand."""
    frame, _, _, *stages = table.networks[index]
    resolution, classes, stem, head, _, _, stem_macs, stem_stride, kernel, _ = table.frames[frame]
    rows = [table.stages[stage] for stage in stages]
    channels, side = rows[-1][4], rows[-1][10]
    features, weights = head or channels, 3 * kernel**2 * stem
    macs = stem_macs + sum(row[11] for row in rows) + channels * head * side * side + features * classes
    params = weights + 2 * stem + sum(row[12] for row in rows) + (channels + 2) * head + (features + 1) * classes
    assert stem_macs == weights * (-(-resolution // stem_stride)) ** 2
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
    for network in (TINY, RESIDUAL):
        table, cost = NetworkTable(), count(network)
        assert rebuilt_macs(table, add(table, network)) == (cost.macs, cost.params)


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
