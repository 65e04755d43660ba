"""Layers that train faster on a CPU: the same numbers to rounding, another way.

oneDNN, which computes PyTorch's convolutions there, lacks a fast kernel for one part of a depthwise convolution: the
gradient of its weights where the kernel is larger than 3x3, or than the map. On small maps without AVX-512 it is one
matrix product an image and channel, and takes 20 to 100 times as long as all others. Here it is asked for in parts
that have fast kernels. A 1x1 convolution of a 1x1 map is a matrix product, and as one three times as fast.
Measured with AVX2 and with AVX-512: docs/performance.md.
Shapes: B images, C channels, H x W pixels in, H' x W' pixels out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_FAST_WIDTHS = {1: (1,), 3: (3,), 5: (3, 2), 7: (3, 2, 2)}
"""Columns of a kernel whose gradients have a fast kernel together: at most three, and at stride 2 not one alone."""


def depthwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """What `conv(x)` gives; faster where the kernel is larger than the map, or than 3x3 at stride 1.

    Args:
        conv: One channel a group, kernel k 3, 5 or 7, padding k // 2, no bias.
        x: (B, C, H, W).

    Returns:
        (B, C, H', W').
    """
    kernel, is_small = conv.kernel_size[0], min(x.shape[2:]) < conv.kernel_size[0]
    if not (is_small or (kernel > 3 and conv.stride[0] == 1)) or not _is_free(conv, x):
        return _plain(conv, x)
    weight = _crop(_crop(conv.weight, 2, x.shape[2]), 3, x.shape[3])
    if weight.shape[2:] == (1, 1):
        return x * weight[:, 0]
    output: Tensor = _InColumns.apply(x, weight, conv.stride[0])
    return output


def pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """What `conv(x)` gives; faster on maps of one pixel.

    Args:
        conv: Kernel 1, stride 1, one group.
        x: (B, C, H, W).

    Returns:
        (B, C', H, W).
    """
    if x.shape[2:] != (1, 1) or not _is_free(conv, x):
        return _plain(conv, x)
    # The channels go last and back, so that the output's memory is channels_last; nothing is copied.
    return functional.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


def mean(pool: nn.AdaptiveAvgPool2d, x: Tensor) -> Tensor:
    """What `pool(x)` gives, the mean of each map; its gradient is not written out for each pixel, divided there.

    Args:
        pool: To one pixel.
        x: (B, C, H, W).

    Returns:
        (B, C, 1, 1).
    """
    if not _is_free(pool, x):
        return _plain(pool, x)
    return x.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3])


def _is_free(module: nn.Module, x: Tensor) -> bool:
    """Whether another way than calling the module may be taken: in training, on a CPU, where no one looks.

    Evaluation calls the module, and so does whatever exports; hooks want it called; autocast has rules of its own.
    """
    hooked = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    return module.training and x.device.type == "cpu" and not hooked and not torch.is_autocast_enabled("cpu")


def _plain(module: nn.Module, x: Tensor) -> Tensor:
    output: Tensor = module(x)
    return output


def _crop(weight: Tensor, dim: int, side: int) -> Tensor:
    """Without the taps that lie on padding wherever the kernel stands: at most 2 * side - 1 are left."""
    size = min(weight.shape[dim], 2 * side - 1)
    return weight.narrow(dim, (weight.shape[dim] - size) // 2, size)


class _InColumns(torch.autograd.Function):
    """A depthwise convolution whose weight gradient is computed a few columns of the kernel at a time."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
        return functional.conv2d(x, weight, None, stride, _padding(weight), 1, len(weight))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        x, weight, ctx.stride = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        of_input, of_weight, _ = ctx.needs_input_grad
        return (
            _gradients(gradient, x, weight, ctx.stride, _padding(weight), (True, False))[0] if of_input else None,
            _weight_gradient(gradient, x, weight, ctx.stride) if of_weight else None,
            None,
        )


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """(C, 1, kh, kw) from the output's gradient (B, C, H', W')."""
    (height, width), (top, left) = x.shape[2:], _padding(weight)
    rows, columns = ((side - 1) * stride for side in gradient.shape[2:])
    bottom = rows + weight.shape[2] - top - height
    parts, first = [], 0
    for size in _FAST_WIDTHS[weight.shape[3]]:
        # Exactly the pixels that these columns of the kernel meet; negative padding cuts.
        met = functional.pad(x, (left - first, columns + first + size - left - width, top, bottom))
        some = weight.narrow(3, first, size)
        parts.append(_gradients(gradient, met, some, stride, (0, 0), (False, True))[1])
        first += size
    return torch.cat(parts, 3)


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], wanted: tuple[bool, bool]
) -> Any:
    """The library's gradients of input and weight, those that are wanted."""
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, None, (stride,) * 2, padding, (1, 1), False, (0, 0), len(weight), (*wanted, False)
    )


def _padding(weight: Tensor) -> tuple[int, int]:
    return weight.shape[2] // 2, weight.shape[3] // 2
