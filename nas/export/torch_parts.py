"""The text that an exported PyTorch file is put together from; `nas.export.torch_file` fills it in."""

HEADER = '''\
"""{name}: {classes} classes, {resolution} x {resolution} pixels.

{macs} multiply-adds an image, {params:,} parameters.

    model = Network().eval()  # untrained, or: model = load("weights.safetensors")
    logits = model(images)  # images (batch, 3, height, width), normalised

Needs torch alone; `load` needs safetensors.
"""

{torch}from torch import Tensor, nn
from torch.nn import functional

# One row a stage. Only its first layer strides; `se` is the squeeze-excite width over the
# input channels; `skip` holds for layers whose input and output have the same shape.
# (kind, expand, kernel, stride, channels, layers, se, skip)
STAGES = [
{stages}
]
STEM, FEATURES, CLASSES, DROPOUT = {stem}, {features}, {classes}, {dropout!r}


def activation() -> nn.Module:
    return {activation}(inplace=True)


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum={momentum!r})


class Layer(nn.Module):
    """A layer and its shortcut, where it has one; its own way is `body`."""

    def __init__(self):
        super().__init__()
        self.shortcut = None

    def forward(self, x: Tensor) -> Tensor:
        if self.shortcut is None:
            return self.body(x)
        return self.body(x) + self.shortcut(x)
'''

SQUEEZE_EXCITE = '''

class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the means of all channels."""

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, squeeze, 1)
        self.act1 = activation()
        self.conv_expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.conv_expand(self.act1(self.conv_reduce(mean))))


def squeeze_excite(channels: int, squeeze: int) -> nn.Module:
    return SqueezeExcite(channels, squeeze) if squeeze else nn.Identity()
'''

SIGNATURE = """\
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expand: int,
        kernel: int,
        stride: int,
        squeeze: int,
    ):"""

CONV = '''

class Conv(Layer):
    """A plain convolution."""

SIGNATURE
        super().__init__()
        self.conv = conv(in_channels, out_channels, kernel, stride)
        self.bn1 = batch_norm(out_channels)
        self.act1 = activation()
#SE        self.se = squeeze_excite(out_channels, squeeze)

    def body(self, x: Tensor) -> Tensor:
        return GATE[self.act1(self.bn1(self.conv(x)))]
'''

LINEAR = '''

class Linear(Layer):
    """A 1x1 convolution without an activation."""

SIGNATURE
        super().__init__()
        self.conv = conv(in_channels, out_channels, kernel, stride)
        self.bn1 = batch_norm(out_channels)

    def body(self, x: Tensor) -> Tensor:
        return self.bn1(self.conv(x))
'''

SEPARABLE = '''

class Separable(Layer):
    """A depthwise convolution, then a linear 1x1."""

SIGNATURE
        super().__init__()
        self.conv_dw = conv(in_channels, in_channels, kernel, stride, in_channels)
        self.bn1 = batch_norm(in_channels)
        self.act1 = activation()
#SE        self.se = squeeze_excite(in_channels, squeeze)
        self.conv_pw = conv(in_channels, out_channels)
        self.bn2 = batch_norm(out_channels)

    def body(self, x: Tensor) -> Tensor:
        x = GATE[self.act1(self.bn1(self.conv_dw(x)))]
        return self.bn2(self.conv_pw(x))
'''

MBCONV = '''

class MBConv(Layer):
    """Expansion 1x1, depthwise convolution, linear projection 1x1."""

SIGNATURE
        super().__init__()
        width = in_channels * expand
        self.conv_pw = conv(in_channels, width)
        self.bn1 = batch_norm(width)
        self.act1 = activation()
        self.conv_dw = conv(width, width, kernel, stride, width)
        self.bn2 = batch_norm(width)
        self.act2 = activation()
#SE        self.se = squeeze_excite(width, squeeze)
        self.conv_pwl = conv(width, out_channels)
        self.bn3 = batch_norm(out_channels)

    def body(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_pw(x)))
        x = GATE[self.act2(self.bn2(self.conv_dw(x)))]
        return self.bn3(self.conv_pwl(x))
'''

BASIC = '''

class Basic(Layer):
    """Two convolutions, and an activation behind the shortcut."""

SIGNATURE
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, kernel, stride)
        self.bn1 = batch_norm(out_channels)
        self.act1 = activation()
        self.conv2 = conv(out_channels, out_channels, kernel)
        self.bn2 = batch_norm(out_channels)
#SE        self.se = squeeze_excite(out_channels, squeeze)
        self.act2 = activation()

    def body(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        return GATE[self.bn2(self.conv2(x))]

    def forward(self, x: Tensor) -> Tensor:
        return self.act2(super().forward(x))
'''

BOTTLENECK = '''

class Bottleneck(Layer):
    """1x1, k x k and 1x1 convolution, and an activation behind the shortcut."""

SIGNATURE
        super().__init__()
        width = max(1, out_channels // expand)
        self.conv1 = conv(in_channels, width)
        self.bn1 = batch_norm(width)
        self.act1 = activation()
        self.conv2 = conv(width, width, kernel, stride)
        self.bn2 = batch_norm(width)
        self.act2 = activation()
        self.conv3 = conv(width, out_channels)
        self.bn3 = batch_norm(out_channels)
#SE        self.se = squeeze_excite(out_channels, squeeze)
        self.act3 = activation()

    def body(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        return GATE[self.bn3(self.conv3(x))]

    def forward(self, x: Tensor) -> Tensor:
        return self.act3(super().forward(x))
'''

STAGE = """

LAYERS = {{{kinds}}}


def make_stage(
    in_channels: int,
    kind: str,
    expand: int,
    kernel: int,
    stride: int,
    channels: int,
    layers: int,
    se: float,
    skip: str,
) -> nn.Sequential:
    stage = nn.Sequential()
    for _ in range(layers):
        squeeze = max(1, int(in_channels * se)) if se else 0
        layer = LAYERS[kind](in_channels, channels, expand, kernel, stride, squeeze)
{shortcut}        stage.append(layer)
        in_channels, stride = channels, 1
    return stage
"""
POOL = """\
        if skip == "pool" and in_channels == channels:
            layer.shortcut = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
"""
IDENTITY = """\
        if skip == "identity" and in_channels == channels and stride == 1:
            layer.shortcut = nn.Identity()
"""
PROJECT = """\
        if skip == "project" and in_channels == channels and stride == 1:
            layer.shortcut = nn.Identity()
        elif skip == "project":
            layer.shortcut = nn.Sequential(
                conv(in_channels, channels, 1, stride),
                batch_norm(channels),
            )
"""

NETWORK = """

class Network(nn.Module):
    def __init__(self, classes: int = CLASSES):
        super().__init__()
        self.conv_stem = conv(3, STEM, STEM_KERNEL, stride=STEM_STRIDE)
        self.bn1 = batch_norm(STEM)
        self.act1 = activation()
        self.blocks = nn.Sequential()
        channels = STEM
        for row in STAGES:
            self.blocks.append(make_stage(channels, *row))
            channels = row[4]
#HEAD        self.conv_head = conv(channels, FEATURES)
#HEAD        self.bn2 = batch_norm(FEATURES)
#HEAD        self.act2 = activation()
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_stem(images)))
#POOL        x = functional.max_pool2d(x, 3, 2, padding=1)
        x = self.blocks(x)
#HEAD        x = self.act2(self.bn2(self.conv_head(x)))
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.classifier(self.dropout(x))
"""

LAYERS = {
    "conv": ("Conv", CONV),
    "linear": ("Linear", LINEAR),
    "separable": ("Separable", SEPARABLE),
    "mbconv": ("MBConv", MBCONV),
    "basic": ("Basic", BASIC),
    "bottleneck": ("Bottleneck", BOTTLENECK),
}
"""The class of each kind of layer: its name and its text."""
