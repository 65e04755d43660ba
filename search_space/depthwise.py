"""Depthwise convolution that also trains fast where the map is smaller than the kernel.

oneDNN, which computes PyTorch's convolutions on a CPU, lacks a fast kernel for one part of a depthwise convolution: the
gradient of its weights where the kernel is larger than the map. Without AVX-512 it is one matrix product an image
and channel, and takes 20 to 100 times as long as all others. Here it is asked for in parts that have fast kernels.
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
    """What `conv(x)` gives, in training on a CPU by the faster way; elsewhere, and so in every export, the plain one.

    Measured with AVX2 and with AVX-512 for kernels 3, 5 and 7 on maps of 1 to 16 pixels: below the kernel's size the
    other way is faster, from there on the plain one.

    Args:
        conv: One channel a group, kernel k 3, 5 or 7, padding k // 2, no bias.
        x: (B, C, H, W).

    Returns:
        (B, C, H', W').
    """
    small = min(x.shape[2:]) < conv.kernel_size[0]
    hooked = conv._forward_hooks or conv._forward_pre_hooks or conv._backward_hooks  # they want the module called
    if not (small and conv.training and x.device.type == "cpu") or hooked or torch.is_autocast_enabled("cpu"):
        output: Tensor = conv(x)
        return output
    weight = _crop(_crop(conv.weight, 2, x.shape[2]), 3, x.shape[3])
    if weight.shape[2:] == (1, 1):
        return x * weight[:, 0]
    output = _SmallMap.apply(x, weight, conv.stride[0])
    return output


def _crop(weight: Tensor, dim: int, side: int) -> Tensor:
    """Without the taps that lie on padding wherever the kernel stands: at most 2 * side - 1 are left."""
    size = min(weight.shape[dim], 2 * side - 1)
    return weight.narrow(dim, (weight.shape[dim] - size) // 2, size)


class _SmallMap(torch.autograd.Function):
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
