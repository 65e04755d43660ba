import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from evaluator.shared.network import Paths, SharedNetwork
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.errors import InputError
from search_space.space import SearchSpace
from search_space.uniform import UniformNetworks
from tests.networks import images
from tests.spaces import EVERY_DECISION, SMALL

SPACES = [*(SearchSpace.load(name) for name in ("efficientnet", "mnasnet", "accel-nasbench")), EVERY_DECISION]


def shared_network(space: SearchSpace, width: float = 0.25, unstrided: int = 1) -> tuple[SharedNetwork, torch.Tensor]:
    shared = SharedNetwork(space, width=width, unstrided=unstrided, resolution=16, classes=6)
    weights = shared.initial(torch.Generator().manual_seed(0)).double()
    weights += 0.1 * torch.randn(shared.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return shared, weights


@torch.no_grad()
def assert_built_alone(shared: SharedNetwork, network: nn.Module, architecture: Architecture) -> None:
    """The same weights in a network of its own give the same outputs."""
    alone = build_model(shared.measured(architecture)).double()
    for theirs, ours in zip(alone.parameters(), network.parameters(), strict=True):
        assert theirs.shape == ours.shape
        theirs.copy_(ours)
    batch = images(3, 16).double()
    torch.testing.assert_close(network(batch), alone(batch), rtol=1e-10, atol=1e-10)


def compare(space: SearchSpace, number: int) -> None:
    shared, weights = shared_network(space)
    paths, uniform, generator = Paths(shared, weights), UniformNetworks(space), np.random.default_rng(0)
    for _ in range(number):
        architecture = uniform.draw(generator)
        assert_built_alone(shared, paths.network(architecture), architecture)


@pytest.mark.parametrize(("space", "layers"), [(SMALL, 2), *zip(SPACES, (6, 6, 4, 16), strict=True)])
def test_most_layers_that_a_place_is_chosen_among(space: SearchSpace, layers: int) -> None:
    """Kinds of layer with weights of their own, times kernels: the last has five kinds of three and one of 1x1."""
    assert shared_network(space)[0].alternatives == layers


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_path_computes_what_the_network_alone_does(space: SearchSpace) -> None:
    compare(space, 3)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_thousand_paths(space: SearchSpace) -> None:
    compare(space, 250)


def test_as_it_is_deployed() -> None:
    shared, weights = shared_network(SMALL, width=1.0, unstrided=0)
    architecture = SMALL.reference
    assert_built_alone(shared, Paths(shared, weights).network(architecture), architecture)


def test_a_block_is_left_out() -> None:
    shared, weights = shared_network(EVERY_DECISION)
    first, _, third = EVERY_DECISION.reference.stages
    without = dataclasses.replace(EVERY_DECISION.reference, stages=(first, dataclasses.replace(third, layers=1)))
    assert [named.name.split("_")[0] for named in shared.layers(without)[1]] == ["block1", "block3"]
    assert_built_alone(shared, Paths(shared, weights).network(without), without)


def test_what_is_shared() -> None:
    """Each weight is marked by its place: what networks share are the same places."""
    shared = SharedNetwork(EVERY_DECISION, width=1.0, unstrided=0, resolution=16, classes=5)
    paths = Paths(shared, torch.arange(shared.size, dtype=torch.float64))

    def places(**changes: object) -> dict[str, set[int]]:
        stages = list(EVERY_DECISION.reference.stages)
        stages[1] = dataclasses.replace(stages[1], **{"layers": 1, **changes})  # type: ignore[arg-type]
        stages[2] = dataclasses.replace(stages[2], layers=1)
        network = paths.network(dataclasses.replace(EVERY_DECISION.reference, stages=tuple(stages)))
        return {name: set(p.flatten().long().tolist()) for name, p in network.named_parameters()}

    deep, shallow = places(layers=3), places()
    assert shallow["2.conv_dw.weight"] == deep["2.conv_dw.weight"]
    assert places(expand=3)["2.conv_pw.weight"] < shallow["2.conv_pw.weight"]
    assert places(channels=16)["2.bn3.bias"] < shallow["2.bn3.bias"] < places(channels=40)["2.bn3.bias"]
    assert places(skip="none") == places(skip="pool")
    for own in (places(kernel=5), places(op="conv", expand=1), places(expand=1)):
        assert not set().union(*(own[name] for name in own if name.startswith("2."))) & set().union(*shallow.values())
    narrow, wide = places(se=0.25), places(se=0.5)
    assert narrow["2.conv_dw.weight"] == wide["2.conv_dw.weight"]
    assert not narrow["2.se.conv_reduce.weight"] & wide["2.se.conv_reduce.weight"]


def test_the_default_space_has_so_many_weights() -> None:
    assert SharedNetwork(SPACES[0], width=1.0, unstrided=0, resolution=32, classes=10).size == 29_727_818


def test_the_start() -> None:
    shared = SharedNetwork(SMALL, width=1.0, unstrided=0, resolution=8, classes=4)
    weights = shared.initial(torch.Generator().manual_seed(0))
    assert torch.equal(weights, shared.initial(torch.Generator().manual_seed(0)))
    assert shared.view(weights, "classifier.weight").abs().max() <= 0.03 * 0.5
    assert shared.view(weights, "layers.block1_1_mbconv3.residual.weight").eq(0).all()
    assert shared.view(weights, "layers.block1_1_mbconv3.bn3.weight").eq(1).all()


def test_networks_begin_alike_where_they_differ_in_residual_layers() -> None:
    shared = SharedNetwork(SMALL, width=1.0, unstrided=0, resolution=8, classes=4)
    paths = Paths(shared, shared.initial(torch.Generator().manual_seed(0)))
    first, second = SMALL.reference.stages
    networks = [
        dataclasses.replace(SMALL.reference, stages=(dataclasses.replace(first, layers=n), second)) for n in (1, 2)
    ]
    with torch.no_grad():
        outputs = [paths.network(network)(images(4, 8)) for network in networks]
    assert torch.equal(*outputs)


def test_another_spaces_network_is_refused() -> None:
    shared, weights = shared_network(SMALL)
    with pytest.raises(InputError, match="not in the space small"):
        Paths(shared, weights).network(Architecture.load("efficientnet-b0"))
