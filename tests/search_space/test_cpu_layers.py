import dataclasses

import pytest
import torch
from torch import Tensor, nn

from search_space.architecture import Architecture, Stage
from search_space.builder import Network, build_model
from search_space.cpu_layers import depthwise, mean, pointwise

KERNELS, STRIDES = (3, 5, 7), (1, 2)
STAGES = tuple(
    Stage(op="mbconv", expand=expand, kernel=kernel, stride=stride, channels=8, layers=2, se=0.25)
    for expand, kernel, stride in ((1, 5, 1), (3, 7, 2), (2, 5, 2), (2, 3, 2))
)
TINY = Architecture(resolution=16, classes=4, stem=8, stages=STAGES, head=16, dropout=0.0)
"""Its depthwise convolutions see maps of 8, 4, 2 and 1 pixels."""


def made(kernel: int, stride: int, channels: int = 3) -> nn.Conv2d:
    with torch.random.fork_rng():
        torch.manual_seed(kernel)
        conv = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    return conv.double()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def gradients(output: Tensor, conv: nn.Conv2d, x: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output, (x, conv.weight), noise(*output.shape))


def is_plain(output: Tensor) -> bool:
    return output.grad_fn is not None and output.grad_fn.name().startswith("ConvolutionBackward")


def made_plain(network: Network) -> Network:
    """The same network of plain layers: a hook makes a layer take the plain way."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda module, inputs: None)
    return network


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("height", "width"), [*((side, side) for side in range(1, 9)), (1, 4), (5, 1), (2, 7), (8, 3), (17, 12)]
)
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_and_gradients_are_the_plain_ones(
    kernel: int, stride: int, height: int, width: int, layout: torch.memory_format
) -> None:
    conv = made(kernel, stride).to(memory_format=layout)  # type: ignore[call-overload]
    x = noise(2, 3, height, width).contiguous(memory_format=layout).requires_grad_()
    output = depthwise(conv, x)
    assert is_plain(output) == (min(height, width) >= kernel and (kernel == 3 or stride == 2))
    assert output.is_contiguous(memory_format=layout)
    torch.testing.assert_close(output, conv(x), rtol=1e-12, atol=1e-12)
    found, expected = gradients(output, conv, x), gradients(conv(x), conv, x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel", "side"), [(3, 2), (5, 3), (7, 1)])
def test_second_derivatives(kernel: int, side: int) -> None:
    conv = made(kernel, 1, channels=1)
    x = noise(1, 1, side, side).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: depthwise(conv, x) ** 2, (x,))


def test_only_what_needs_a_gradient_gets_one() -> None:
    conv = made(5, 1)
    depthwise(conv, noise(2, 3, 3, 3)).sum().backward()
    assert conv.weight.grad is not None
    conv.weight.requires_grad_(False).grad = None
    x = noise(2, 3, 3, 3).requires_grad_()
    depthwise(conv, x).sum().backward()
    assert x.grad is not None
    assert conv.weight.grad is None


def test_where_it_is_the_plain_convolution() -> None:
    conv, x = made(5, 1), noise(2, 3, 3, 3)
    assert not is_plain(depthwise(conv, x))
    with torch.autocast("cpu"):
        assert is_plain(depthwise(conv, x))
    handle = conv.register_forward_hook(lambda module, inputs, output: output + 1)
    torch.testing.assert_close(depthwise(conv, x) - 1, conv.eval()(x) - 1)
    handle.remove()
    assert is_plain(depthwise(conv, x))  # in evaluation mode
    assert depthwise(conv.train().to("meta"), x.to("meta")).shape == (2, 3, 3, 3)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("side", [1, 2])
def test_pointwise_is_the_plain_convolution(side: int, bias: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        conv = nn.Conv2d(6, 4, 1, bias=bias).double()
    x = noise(3, 6, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    output = pointwise(conv, x)
    assert is_plain(output) == (side > 1)
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output, conv(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(output, conv, x), gradients(conv(x), conv, x), rtol=1e-12, atol=1e-12)
    assert is_plain(pointwise(conv.eval(), x))


@pytest.mark.parametrize("side", [1, 2, 7])
def test_mean_is_the_pool_to_the_bit(side: int) -> None:
    pool = nn.AdaptiveAvgPool2d(1)
    x = noise(3, 6, side, side).float().contiguous(memory_format=torch.channels_last).requires_grad_()
    output = mean(pool, x)
    torch.testing.assert_close(output, pool(x), rtol=0, atol=0)
    (found,), (expected,) = (torch.autograd.grad((way**2).sum(), x) for way in (output, pool(x)))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    names = [way.grad_fn.name() for way in (output, mean(pool.eval(), x)) if way.grad_fn]
    assert [name.startswith("Div") for name in names] == [True, False]


def trained(network: Network, steps: int) -> dict[str, Tensor]:
    network.double()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=generator)
        labels = torch.randint(4, (4,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network.state_dict()


def test_fifty_steps_train_the_weights_of_plain_layers() -> None:
    fast, plain = trained(build_model(TINY), 50), trained(made_plain(build_model(TINY)), 50)
    assert not torch.equal(fast["conv_head.weight"], build_model(TINY).state_dict()["conv_head.weight"].double())
    torch.testing.assert_close(fast, plain, rtol=1e-7, atol=1e-9)


def test_networks_hold_and_export_plain_convolutions() -> None:
    network = build_model(dataclasses.replace(TINY, resolution=32)).eval()
    assert {type(m) for m in network.modules() if isinstance(m, nn.Conv2d)} == {nn.Conv2d}
    graph = torch.export.export(network, (torch.zeros(1, 3, 16, 16),)).graph
    called = [str(node.target) for node in graph.nodes]
    assert called.count("aten.conv2d.default") == sum(isinstance(m, nn.Conv2d) for m in network.modules())
