"""An architecture as one PyTorch file that needs only torch, as a person would write it.

Parts that the network does not use are left out. Module names are ours (and timm's), so the weights files fit.
"""

from __future__ import annotations

import re

from evaluator.data.trained_on import TrainedOn
from nas.export import torch_parts, usage
from search_space.architecture import Architecture, Layer, Stage
from search_space.cost import count, count_stem
from search_space.io.amounts import format_amount
from search_space.layers import BATCHNORM_MOMENTUM

_ACTIVATIONS = {"relu": "nn.ReLU", "relu6": "nn.ReLU6", "silu": "nn.SiLU"}


def to_source(architecture: Architecture, name: str, trained_on: TrainedOn | None = None) -> str:
    """The file's text, formatted.

    Args:
        architecture: What it defines.
        name: What it is called in the docstring.
        trained_on: What weights for it were trained on; None where that is not known.
    """
    rows = architecture.stage_layers()
    layers = [layer for row in rows for layer in row]
    cost = count(architecture)
    squeeze = any(layer.squeeze_channels for layer in layers)
    parts = [
        torch_parts.HEADER.format(
            name=name,
            torch="import torch\n" if squeeze else "",
            classes=architecture.classes,
            resolution=architecture.resolution,
            macs=format_amount(cost.macs),
            params=cost.params,
            stages="\n".join(_stage_rows(architecture)),
            stem=architecture.stem,
            features=architecture.features,
            dropout=architecture.dropout,
            activation=_ACTIVATIONS[architecture.activation],
            momentum=trained_on.batchnorm_momentum if trained_on else BATCHNORM_MOMENTUM,
        )
    ]
    parts += [torch_parts.SQUEEZE_EXCITE] if squeeze else []
    kinds = list(dict.fromkeys(_kind(layer) for layer in layers))
    parts += [_gated(torch_parts.LAYERS[kind][1], squeeze) for kind in kinds]
    shortcuts = {"pool": torch_parts.POOL, "identity": torch_parts.IDENTITY, "project": torch_parts.PROJECT}
    skips = {_effective_skip(stage, row) for stage, row in zip(architecture.stages, rows, strict=True)}
    used = "".join(code for skip, code in shortcuts.items() if skip in skips)
    names = ", ".join(f'"{kind}": {torch_parts.LAYERS[kind][0]}' for kind in kinds)
    return "".join(
        (
            *parts,
            torch_parts.STAGE.format(kinds=names, shortcut=used),
            _network(architecture),
            usage.to_source(architecture.resolution, trained_on),
        )
    )


def _network(architecture: Architecture) -> str:
    """The class that puts the layers together, without a pool or a head where there is none."""
    code = torch_parts.NETWORK.replace("STEM_STRIDE", str(architecture.stem_stride))
    code = code.replace("STEM_KERNEL", str(architecture.stem_kernel))
    for mark, there in (("POOL", architecture.stem_pool), ("HEAD", architecture.head)):
        code = re.sub(rf"#{mark}(.*\n)", r"\1" if there else "", code)
    return code


def _kind(layer: Layer) -> str:
    if layer.op != "mbconv":
        return layer.op
    return "mbconv" if layer.has_expansion else "separable"


def _gated(code: str, squeeze: bool) -> str:
    """A layer's class with or without squeeze-excite."""
    code = re.sub(r"GATE\[(.*)\]", r"self.se(\1)" if squeeze else r"\1", code)
    code = code.replace("SIGNATURE", torch_parts.SIGNATURE)
    return re.sub(r"#SE(.*\n)", r"\1" if squeeze else "", code)


def _stage_rows(architecture: Architecture) -> list[str]:
    lines = []
    side = count_stem(architecture)[0]
    for stage, layers in zip(architecture.stages, architecture.stage_layers(), strict=True):
        side = (side + 1) // 2 if stage.stride == 2 else side
        numbers = f"{stage.expand}, {stage.kernel}, {stage.stride}, {stage.channels}, {stage.layers}, {stage.se!r}"
        skip = _effective_skip(stage, layers)
        lines.append(f'    ("{_kind(layers[0])}", {numbers}, "{skip}"),  # {side} x {side} pixels')
    return lines


def _effective_skip(stage: Stage, layers: tuple[Layer, ...]) -> str:
    """The stage's shortcut; none where no layer has it."""
    return stage.skip if any(layer.skip != "none" for layer in layers) else "none"
