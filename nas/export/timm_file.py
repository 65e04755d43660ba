"""An architecture as timm's block strings and the few lines that build it in timm."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import tempfile
from pathlib import Path

import torch

from evaluator.data.trained_on import TrainedOn
from search_space.architecture import Architecture
from search_space.builder import Network
from search_space.errors import InputError, NasError
from search_space.layers import BATCHNORM_MOMENTUM
from search_space.timm_strings import to_block_strings

_ACTIVATIONS = {"relu": "nn.ReLU", "relu6": "nn.ReLU6", "silu": "nn.SiLU"}
_TIMM_STRIDE = 32  # beyond this total stride timm dilates instead, unless told otherwise

_TEMPLATE = '''\
"""{name} in timm."""

from functools import partial

from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from torch import {names}

BLOCKS = [
{blocks}
]
{pooled}

def create_model(num_classes: int = {classes}) -> EfficientNet:
    model = EfficientNet(
        decode_arch_def(BLOCKS),
        num_classes=num_classes,
        stem_size={stem},
        num_features={head},
        round_chs_fn=int,  # channels as they are written, not rounded to multiples of 8
        act_layer={activation},
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3, momentum={momentum!r}),
        drop_rate={dropout!r},
{stride}    )
{replaced}    return model
'''
_POOLED = '''
POOLED = {{{strides}}}  # stages with pooled shortcuts, and their strides


class PooledStage(nn.Sequential):
    """Layers that add their input, averaged over 3 x 3 pixels, where the channels stay."""

    def __init__(self, stage: nn.Sequential, stride: int):
        super().__init__(*stage)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self):
            y = layer(x)
            if x.shape[1] == y.shape[1]:
                stride = self.stride if number == 0 else 1
                y = y + functional.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            x = y
        return x
'''
_REPLACED = """\
    for number, stride in POOLED.items():
        model.blocks[number] = PooledStage(model.blocks[number], stride)
"""


def to_source(architecture: Architecture, name: str, trained_on: TrainedOn | None = None) -> str:
    """The text of a Python file whose `create_model` builds the network with timm.

    timm's block strings have no pooled shortcut: stages that have one are written without any, and the file adds it.

    Args:
        architecture: What it builds.
        name: What it is called in the docstring.
        trained_on: What weights for it were trained on; None where that is not known.

    Raises:
        InputError: timm cannot express a block, by number.
    """
    stride = architecture.total_stride
    rows = architecture.stage_layers()
    pooled = [number for number, row in enumerate(rows) if any(layer.skip == "pool" for layer in row)]
    strides = ", ".join(f"{number}: {architecture.stages[number].stride}" for number in pooled)
    return _TEMPLATE.format(
        name=name,
        names="Tensor, nn\nfrom torch.nn import functional" if pooled else "nn",
        blocks="\n".join(f'    ["{text}"],' for text in to_block_strings(_without_pools(architecture))),
        pooled=_POOLED.format(strides=strides) if pooled else "",
        classes=architecture.classes,
        stem=architecture.stem,
        head=architecture.head,
        activation=_ACTIVATIONS[architecture.activation],
        momentum=trained_on.batchnorm_momentum if trained_on else BATCHNORM_MOMENTUM,
        dropout=architecture.dropout,
        stride=f"        output_stride={stride},\n" if stride > _TIMM_STRIDE else "",
        replaced=_REPLACED if pooled else "",
    )


def _without_pools(architecture: Architecture) -> Architecture:
    stages = (dataclasses.replace(s, skip="none") if s.skip == "pool" else s for s in architecture.stages)
    return dataclasses.replace(architecture, stages=tuple(stages))


def import_timm() -> None:
    """Make sure that timm can be imported.

    Raises:
        InputError: It is not installed, or cannot be imported, e.g. beside a torchvision made for another torch.
    """
    try:
        importlib.import_module("timm")
    except ImportError as error:
        missing = "is not installed: pip install 'nas-b0[export]'" if error.name == "timm" else f"is broken: {error}"
        raise InputError(f"timm {missing}") from None
    except RuntimeError as error:  # torchvision without the operators that go with this torch
        raise InputError(f"timm cannot be imported: {str(error).splitlines()[0]}") from None


def run_in_timm(source: str, network: Network, images: torch.Tensor) -> torch.Tensor:
    """Build the file's model, give it our network's weights, and run it.

    Returns:
        Its outputs (batch, classes), float64.

    Raises:
        NasError: timm refuses the strings or the weights.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "exported.py")
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("exported", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    try:
        with torch.random.fork_rng(devices=[]):  # timm draws its initial weights from the global generator
            model = module.create_model().double().eval()
        model.load_state_dict(network.state_dict())
    except (RuntimeError, ValueError, AssertionError) as error:
        raise NasError(f"timm builds another network from the exported strings: {str(error).splitlines()[0]}") from None
    with torch.inference_mode():
        outputs: torch.Tensor = model(images.double())
    return outputs
