import dataclasses
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_space.architecture import Architecture, Stage
from search_space.builder import Network, build_model
from search_space.cost import count
from search_space.layers import DropPath
from search_space.seeding import derive_seed
from search_space.space import SearchSpace
from tests.networks import RESIDUAL, TINY

SPACES = ("efficientnet", "mnasnet", "accel-nasbench")
SMALL = Architecture(
    resolution=32,
    classes=3,
    stem=8,
    stages=(
        Stage(op="conv", kernel=3, channels=8, layers=2, se=0.25),
        Stage(op="mbconv", expand=1, kernel=5, stride=2, channels=8, skip="pool", layers=2),
        Stage(op="mbconv", expand=3, kernel=3, channels=16, layers=2, se=0.25),
    ),
    head=24,
)


def measured(network: nn.Module, resolution: int) -> tuple[int, int]:
    """MACs and parameters of a network as built, from the shapes that flow through it."""
    macs, params = 0, sum(parameter.numel() for parameter in network.parameters())

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        per_output = module.weight[0].numel()  # type: ignore[index, operator]
        macs += per_output * output.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
        elif isinstance(module, nn.BatchNorm2d | nn.SiLU | nn.ReLU):
            module.forward = lambda x: x  # no shape depends on them, and on the meta device they take most of the time
    with torch.no_grad():
        network.eval()(torch.empty(1, 3, resolution, resolution, device="meta"))
    return macs, params


def assert_cost_is_exact(architecture: Architecture) -> None:
    with torch.device("meta"):  # shapes only, nothing is computed
        network = Network(architecture)
    cost = count(architecture)
    assert measured(network, architecture.resolution) == (cost.macs, cost.params)


@pytest.mark.parametrize(
    "name", ["efficientnet-b0", "mnasnet-a1", "mnasnet-b1", "mobilenet-v2", "resnet-18", "resnet-50"]
)
@pytest.mark.parametrize("resolution", [224, 225, 33])
def test_cost_is_that_of_the_network(name: str, resolution: int) -> None:
    assert_cost_is_exact(dataclasses.replace(Architecture.load(name), resolution=resolution))


def test_cost_without_a_stride_in_the_stem() -> None:
    assert_cost_is_exact(TINY)
    assert_cost_is_exact(dataclasses.replace(TINY, stem_stride=2))
    for side in (65, 64, 33):
        assert_cost_is_exact(dataclasses.replace(RESIDUAL, resolution=side))
    linear = build_model(TINY).blocks[0][0]
    assert [type(module) for module in (linear.conv, linear.bn1)] == [nn.Conv2d, nn.BatchNorm2d]  # and no activation
    assert not any(isinstance(module, nn.SiLU) for module in linear.modules())


@pytest.mark.parametrize("name", SPACES)
def test_cost_of_samples(name: str) -> None:
    space, generator = SearchSpace.load(name), np.random.default_rng(derive_seed(1, name))
    for _ in range(10):
        assert_cost_is_exact(space.sample(generator))


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_cost_of_a_thousand_samples(name: str) -> None:
    space, generator = SearchSpace.load(name), np.random.default_rng(derive_seed(0, name))
    for _ in range(1000):
        assert_cost_is_exact(space.sample(generator))


@pytest.mark.parametrize(
    ("name", "reference"),
    [("efficientnet-b0", "efficientnet_b0"), ("mnasnet-a1", "semnasnet_100"), ("mnasnet-b1", "mnasnet_100")],
)
def test_outputs_agree_with_timm(name: str, reference: str, timm: ModuleType) -> None:
    architecture = Architecture.load(name)
    ours = build_model(architecture, generator=torch.Generator().manual_seed(1)).eval()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        theirs = timm.create_model(reference, bn_eps=1e-3).eval()
        for module in theirs.modules():
            if isinstance(module, nn.BatchNorm2d):  # statistics as after training, not the neutral initial ones
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
        x = torch.randn(2, 3, 96, 96)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        expected = theirs(x)
        assert float(expected.std()) > 1e-3
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5)


def test_weights_come_from_the_generator_alone() -> None:
    def weights(seed: int | None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return torch.cat([value.flatten() for value in build_model(SMALL, generator=generator).state_dict().values()])

    before = torch.random.get_rng_state()
    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
    assert torch.equal(weights(None), weights(0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_new_network_is_ready_to_train() -> None:
    network = build_model(SMALL)
    assert network.training
    assert (network.bn1.eps, network.bn1.momentum) == (1e-3, 0.01)
    for name, value in network.state_dict().items():
        assert torch.isfinite(value).all(), name
        if name.endswith("running_var"):
            assert (value == 1).all()
        if name.endswith(("running_mean", "num_batches_tracked", "bias")):
            assert not value.any(), name
    loss = nn.functional.cross_entropy(network(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.eval()(torch.zeros(1, 3, 5, 70)).shape == (1, 3)


def test_stochastic_depth_grows_with_depth() -> None:
    assert not any(isinstance(module, DropPath) for module in build_model(SMALL).modules())
    network = build_model(SMALL, drop_path=0.3)
    rates = [
        layer.drop_path.rate for stage in network.blocks for layer in stage if isinstance(layer.drop_path, DropPath)
    ]
    # six layers; the first has rate 0, the fifth no shortcut
    assert rates == pytest.approx([0.05, 0.10, 0.15, 0.25])


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_bad_drop_path(rate: float) -> None:
    with pytest.raises(ValueError, match="drop_path must be from 0 to below 1"):
        build_model(SMALL, drop_path=rate)


@pytest.mark.parametrize("activation", ["relu", "relu6", "silu"])
def test_activation_is_used_everywhere(activation: str) -> None:
    network = build_model(dataclasses.replace(SMALL, activation=activation))  # type: ignore[type-var]
    kinds = {type(m).__name__.lower() for m in network.modules() if isinstance(m, nn.ReLU | nn.ReLU6 | nn.SiLU)}
    assert kinds == {activation}
