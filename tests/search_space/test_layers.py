import dataclasses

import pytest
import torch
from torch import nn

from search_space.architecture import Architecture, Layer, Stage
from search_space.builder import build_model
from search_space.layers import (
    ConvLayer,
    DropPath,
    MBConvLayer,
    ResidualLayer,
    SeparableLayer,
    SqueezeExcite,
    build_layer,
    initialize,
    start_small,
)
from tests.networks import RESIDUAL

LAYER = Layer(
    op="mbconv",
    in_channels=4,
    expanded_channels=12,
    kernel=5,
    stride=1,
    out_channels=4,
    squeeze_channels=2,
    skip="identity",
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(layer: Layer, drop_path: float = 0.0) -> ResidualLayer:
    module = build_layer(layer, "relu", drop_path)
    initialize(module, generator())
    return module.eval()


@pytest.mark.parametrize("side", [1, 7, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("skip", ["none", "identity", "pool"])
@pytest.mark.parametrize(("op", "expand"), [("conv", 1), ("mbconv", 1), ("mbconv", 3)])
def test_sides_and_shortcuts(side: int, stride: int, kernel: int, skip: str, op: str, expand: int) -> None:
    stage = Stage(op=op, expand=expand, kernel=kernel, stride=stride, channels=4, se=0.5, skip=skip)  # type: ignore[arg-type]
    ((layer,),) = Architecture(stem=4, stages=(stage,)).stage_layers()
    module = made(layer)
    x = torch.randn(2, 4, side, side, generator=generator())
    half = -(-side // stride)
    assert module(x).shape == (2, 4, half, half)
    branch = module.body(x)
    if layer.skip == "none":
        assert torch.equal(module(x), branch)
    elif layer.skip == "identity":
        assert torch.equal(module(x), branch + x)
    else:
        assert stride == 1 or (skip == "pool" and half < side) or side == 1
        assert not torch.equal(module(x), branch)


def test_operators_have_their_modules() -> None:
    assert isinstance(made(LAYER), MBConvLayer)
    assert isinstance(made(dataclasses.replace(LAYER, expanded_channels=4)), SeparableLayer)
    conv = made(dataclasses.replace(LAYER, op="conv", expanded_channels=4))
    assert isinstance(conv, ConvLayer)
    assert isinstance(conv.se, SqueezeExcite)
    assert conv.se.conv_reduce.in_channels == 4
    assert isinstance(made(dataclasses.replace(LAYER, squeeze_channels=0)).se, nn.Identity)
    with pytest.raises(NotImplementedError):
        ResidualLayer(LAYER, 0.0).body(torch.empty(1))


def test_pool_shortcut_by_hand() -> None:
    module = made(dataclasses.replace(LAYER, skip="pool", stride=2))
    assert module.shortcut is not None
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    # 3x3 windows at (0,0), (0,2), (2,0), (2,2); the padding is not counted
    corner, top = (0 + 1 + 4 + 5) / 4, (1 + 2 + 3 + 5 + 6 + 7) / 6
    left, middle = (4 + 5 + 8 + 9 + 12 + 13) / 6, (5 + 6 + 7 + 9 + 10 + 11 + 13 + 14 + 15) / 9
    torch.testing.assert_close(module.shortcut(x).flatten(), torch.tensor([corner, top, left, middle]))


def test_squeeze_excite_by_hand() -> None:
    module = SqueezeExcite(2, 1, "relu")
    with torch.no_grad():
        module.conv_reduce.weight.copy_(torch.tensor([1.0, -1.0]).view(1, 2, 1, 1))
        module.conv_reduce.bias.fill_(0.5)
        module.conv_expand.weight.copy_(torch.tensor([2.0, 0.0]).view(2, 1, 1, 1))
        module.conv_expand.bias.copy_(torch.tensor([0.0, 1.0]))
    x = torch.stack([torch.full((3, 3), 4.0), torch.full((3, 3), 1.0)])[None]
    # means 4 and 1; squeezed relu(4 - 1 + .5) = 3.5; gates sigmoid(7) and sigmoid(1)
    gates = torch.sigmoid(torch.tensor([7.0, 1.0]))
    torch.testing.assert_close(module(x)[0, :, 0, 0], gates * torch.tensor([4.0, 1.0]))


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    module = DropPath(0.25)
    x = torch.ones(20_000, 2, 1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = module.train()(x)
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(y[:, 0], y[:, 1])
    assert abs(float(y.mean()) - 1) < 0.02
    assert module.eval()(x) is x


def test_drop_path_only_where_there_is_a_shortcut() -> None:
    assert isinstance(made(LAYER, 0.2).drop_path, DropPath)
    assert isinstance(made(LAYER, 0.0).drop_path, nn.Identity)
    assert isinstance(made(dataclasses.replace(LAYER, skip="none"), 0.2).drop_path, nn.Identity)


def test_initialisation() -> None:
    module = nn.Sequential(nn.Conv2d(64, 128, 3), nn.Conv2d(512, 512, 5, groups=512), nn.Linear(400, 100))
    initialize(module, generator())
    conv, depthwise, linear = module.requires_grad_(False)
    assert float(conv.weight.std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    assert float(depthwise.weight.std()) == pytest.approx((2 / 25) ** 0.5, rel=0.02)
    assert float(linear.weight.abs().max()) == pytest.approx(0.1, rel=0.01)
    assert all(not part.bias.any() for part in module)


MIXED = Architecture(
    resolution=16,
    classes=2,
    stem=8,
    head=16,
    stages=(
        Stage(op="mbconv", expand=2, kernel=3, stride=2, channels=8, layers=2, se=0.25),
        Stage(op="mbconv", expand=1, kernel=3, channels=8, layers=1),
        Stage(op="conv", kernel=3, channels=8, layers=1),
    ),
)


def test_start_small() -> None:
    model = build_model(MIXED)
    first = model.classifier.weight.clone()
    start_small(model)
    strided, inner, separable, plain = (layer for stage in model.blocks for layer in stage)
    assert torch.equal(model.classifier.weight, first * 0.03)
    assert inner.bn3.weight.tolist() == [0] * 8
    assert separable.bn2.weight.tolist() == [0] * 8
    assert strided.bn3.weight.tolist() == [1] * 8  # no shortcut: zero would cut the network
    assert plain.bn1.weight.tolist() == [1] * 8  # a ReLU follows: zero would never wake up
    assert {norm.momentum for norm in model.modules() if isinstance(norm, torch.nn.BatchNorm2d)} == {0.1}


def test_start_small_in_resnets() -> None:
    model = build_model(RESIDUAL)
    start_small(model)
    assert all(not layer.bn2.weight.any() for layer in model.blocks[0])
    assert all(not layer.bn3.weight.any() for layer in model.blocks[1])
    assert model.blocks[3][0].bn2.weight.all()  # no shortcut
