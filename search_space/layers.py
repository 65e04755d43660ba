"""The layers networks are built of: plain and linear convolution, separable convolution, MBConv, ResNet's two layers.

MBConv: MobileNetV2 (arXiv:1801.04381, section 3) with squeeze-excite as in MnasNet (arXiv:1807.11626, section 4.1).
Modules and parameters are named as in timm's EfficientNet, so that its checkpoints load.
Shapes: B images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from search_space.architecture import Activation, Layer, Op
from search_space.cpu_layers import depthwise, mean, pointwise

CLASSIFIER_SCALE = 0.03  # the usual classifier starts ten classes at a loss of 5 instead of log 10 = 2.3
BATCHNORM_MOMENTUM = 0.1  # deviates from EfficientNet's 0.01, whose averages need hundreds of steps
ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU}


def activate(name: Activation) -> nn.Module:
    """The activation of that name, in place but for SiLU: its gradient needs its input, which would be copied first."""
    return ACTIVATIONS[name](inplace=name != "silu")


def conv(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias whose padding keeps the side, or halves it and rounds up."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with EfficientNet's constants: decay 0.99 is momentum 0.01 in PyTorch's terms."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from all channels' means (arXiv:1709.01507)."""

    def __init__(self, channels: int, squeeze: int, activation: Activation) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv_reduce = nn.Conv2d(channels, squeeze, 1)
        self.act1 = activate(activation)
        self.conv_expand = nn.Conv2d(squeeze, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        squeezed = self.act1(pointwise(self.conv_reduce, mean(self.pool, x)))
        scale: Tensor = self.gate(pointwise(self.conv_expand, squeezed))
        return x * scale


class DropPath(nn.Module):
    """Stochastic depth (arXiv:1603.09382): in training, drops a whole residual branch, image by image."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; the kept images are scaled up to keep the mean."""
        if not self.training:
            return x
        keep = 1 - self.rate
        mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
        return x * mask / keep


class ResidualLayer(nn.Module):
    """A layer with the shortcut its `Layer` asks for; subclasses define `body`."""

    def __init__(self, layer: Layer, drop_path: float) -> None:
        super().__init__()
        self.shortcut: nn.Module | None = None
        if layer.skip == "identity":
            self.shortcut = nn.Identity()
        elif layer.skip == "pool":
            self.shortcut = nn.AvgPool2d(3, layer.stride, padding=1, count_include_pad=False)
        elif layer.skip == "project":
            projection = conv(layer.in_channels, layer.out_channels, 1, layer.stride)
            self.shortcut = nn.Sequential(projection, batch_norm(layer.out_channels))
        self.drop_path = DropPath(drop_path) if drop_path and self.shortcut else nn.Identity()

    def body(self, x: Tensor) -> Tensor:
        """The layer without its shortcut: (B, C_in, H, W) to (B, C_out, H', W')."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        if self.shortcut is None:
            return self.body(x)
        shortcut: Tensor = self.shortcut(x)
        branch: Tensor = self.drop_path(self.body(x))
        return branch + shortcut


class ConvLayer(ResidualLayer):
    """A k x k convolution. Squeeze-excite, where there is one, gates its output."""

    def __init__(self, layer: Layer, activation: Activation, drop_path: float) -> None:
        super().__init__(layer, drop_path)
        self.conv = conv(layer.in_channels, layer.out_channels, layer.kernel, layer.stride)
        self.bn1 = batch_norm(layer.out_channels)
        self.act1 = activate(activation)
        self.se = _squeeze_excite(layer.out_channels, layer, activation)

    def body(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.se(self.act1(self.bn1(self.conv(x))))
        return x


class LinearLayer(ResidualLayer):
    """A 1x1 convolution without an activation: what stands between stages where a block does nothing else."""

    def __init__(self, layer: Layer, activation: Activation, drop_path: float) -> None:
        super().__init__(layer, drop_path)
        self.conv = conv(layer.in_channels, layer.out_channels, 1, layer.stride)
        self.bn1 = batch_norm(layer.out_channels)

    def body(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.bn1(self.conv(x))
        return x


class SeparableLayer(ResidualLayer):
    """A depthwise k x k convolution, then a linear 1x1: MBConv without an expansion."""

    def __init__(self, layer: Layer, activation: Activation, drop_path: float) -> None:
        super().__init__(layer, drop_path)
        width = layer.in_channels
        self.conv_dw = conv(width, width, layer.kernel, layer.stride, groups=width)
        self.bn1 = batch_norm(width)
        self.act1 = activate(activation)
        self.se = _squeeze_excite(width, layer, activation)
        self.conv_pw = conv(width, layer.out_channels)
        self.bn2 = batch_norm(layer.out_channels)

    def body(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.se(self.act1(self.bn1(depthwise(self.conv_dw, x))))
        x = self.bn2(pointwise(self.conv_pw, x))
        return x


class MBConvLayer(ResidualLayer):
    """Expansion 1x1, depthwise k x k, squeeze-excite, linear projection 1x1."""

    def __init__(self, layer: Layer, activation: Activation, drop_path: float) -> None:
        super().__init__(layer, drop_path)
        width = layer.expanded_channels
        self.conv_pw = conv(layer.in_channels, width)
        self.bn1 = batch_norm(width)
        self.act1 = activate(activation)
        self.conv_dw = conv(width, width, layer.kernel, layer.stride, groups=width)
        self.bn2 = batch_norm(width)
        self.act2 = activate(activation)
        self.se = _squeeze_excite(width, layer, activation)
        self.conv_pwl = conv(width, layer.out_channels)
        self.bn3 = batch_norm(layer.out_channels)

    def body(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.act1(self.bn1(pointwise(self.conv_pw, x)))
        x = self.se(self.act2(self.bn2(depthwise(self.conv_dw, x))))
        x = self.bn3(pointwise(self.conv_pwl, x))
        return x


class BasicLayer(ResidualLayer):
    """Two k x k convolutions, and an activation behind the shortcut (ResNet, arXiv:1512.03385, figure 5, left)."""

    def __init__(self, layer: Layer, activation: Activation, drop_path: float) -> None:
        super().__init__(layer, drop_path)
        self.conv1 = conv(layer.in_channels, layer.out_channels, layer.kernel, layer.stride)
        self.bn1 = batch_norm(layer.out_channels)
        self.act1 = activate(activation)
        self.conv2 = conv(layer.out_channels, layer.out_channels, layer.kernel)
        self.bn2 = batch_norm(layer.out_channels)
        self.se = _squeeze_excite(layer.out_channels, layer, activation)
        self.act2 = activate(activation)

    def body(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.se(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.act2(super().forward(x))
        return x


class BottleneckLayer(ResidualLayer):
    """1x1, k x k and 1x1 convolution, and an activation behind the shortcut (the same figure, right)."""

    def __init__(self, layer: Layer, activation: Activation, drop_path: float) -> None:
        super().__init__(layer, drop_path)
        width = layer.expanded_channels
        self.conv1 = conv(layer.in_channels, width)
        self.bn1 = batch_norm(width)
        self.act1 = activate(activation)
        self.conv2 = conv(width, width, layer.kernel, layer.stride)
        self.bn2 = batch_norm(width)
        self.act2 = activate(activation)
        self.conv3 = conv(width, layer.out_channels)
        self.bn3 = batch_norm(layer.out_channels)
        self.se = _squeeze_excite(layer.out_channels, layer, activation)
        self.act3 = activate(activation)

    def body(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.act1(self.bn1(pointwise(self.conv1, x)))
        x = self.act2(self.bn2(self.conv2(x)))
        x = self.se(self.bn3(pointwise(self.conv3, x)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        x = self.act3(super().forward(x))
        return x


def _squeeze_excite(channels: int, layer: Layer, activation: Activation) -> nn.Module:
    squeeze = layer.squeeze_channels
    return SqueezeExcite(channels, squeeze, activation) if squeeze else nn.Identity()


def build_layer(layer: Layer, activation: Activation, drop_path: float) -> ResidualLayer:
    """The module of one layer.

    Args:
        layer: What to build.
        activation: The network's activation.
        drop_path: Probability of dropping the residual branch of an image in training.
    """
    if layer.op == "mbconv":
        return (MBConvLayer if layer.has_expansion else SeparableLayer)(layer, activation, drop_path)
    return _LAYERS[layer.op](layer, activation, drop_path)


_LAYERS: dict[Op, Callable[[Layer, Activation, float], ResidualLayer]] = {
    "conv": ConvLayer,
    "linear": LinearLayer,
    "basic": BasicLayer,
    "bottleneck": BottleneckLayer,
}


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """EfficientNet's initialisation of every layer in `module`, in order, from `generator` alone.

    Convolutions N(0, 2 / fan_out) with fan_out divided by groups, linear layers U(+-1/sqrt(outputs)), biases 0.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            part.weight.normal_(0, (2 / fan_out) ** 0.5, generator=generator)
        elif isinstance(part, nn.Linear):
            bound = part.out_features**-0.5
            part.weight.uniform_(-bound, bound, generator=generator)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
            part.bias.zero_()


@torch.no_grad()
def start_small(module: nn.Module) -> None:
    """Let the classifier start near zero and residual layers as the identity, and BatchNorm follow quickly.

    What short trainings start from (arXiv:1706.02677, section 5.1); `module` holds a whole network or a part of it.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = BATCHNORM_MOMENTUM
        elif isinstance(part, nn.Linear):
            part.weight.mul_(CLASSIFIER_SCALE)
        elif isinstance(part, ResidualLayer) and part.shortcut is not None:
            # Only where BatchNorm is the branch's last word: a ReLU after a zero scale would never wake up.
            if isinstance(part, MBConvLayer | BottleneckLayer):
                part.bn3.weight.zero_()
            elif isinstance(part, SeparableLayer | BasicLayer):
                part.bn2.weight.zero_()
