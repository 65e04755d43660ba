"""What a trained network does with held-out images: whom it confuses, where it is sure and wrong, where it looks.

Class activation maps are gradient-weighted: Selvaraju et al., arXiv:1610.02391, equations 1 and 2.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from evaluator.data.dataset import Images
from evaluator.training import SCORE_BATCH
from search_space.builder import Network

WRONG = 12
"""Images that it is surest and wrong about."""
MAPS = 12
"""Images with a map of where it looks: the first that it gets right of each class, as far as these go."""
LEAST_SIDE = 4
"""Side of the feature map that is weighted, where there is one as large: a map of a pixel or two shows no place."""
THUMBNAIL = 112
"""Largest side of an image on the page, pixels."""
_HEAT = (213.0, 94.0, 0.0)  # vermilion, as the page's own colours
_SMALL = 64  # up to this side an image is kept without loss


def look(
    network: Network, data: Images, index: torch.Tensor, pixels: tuple[Sequence[float], Sequence[float]]
) -> dict[str, Any]:
    """What a network does with the images at `index`, as plain values for its page.

    Args:
        network: Trained, on the device of its batches; left in evaluation mode.
        data: Images uint8 (N, 3, S, S) and labels.
        index: Positions of those that it was not trained on.
        pixels: Mean and deviation of red, green and blue, 0 to 255, by which inputs are normalised.

    Returns:
        ``confusion``: how often images of a class (row) were taken for another (column); ``wrong``: images, the surest
        first; ``maps``: images with a map beside; ``side``: that of the feature map which is weighted, pixels. An
        image has ``image`` and, of maps, ``map`` (data URIs), ``truth`` and ``guess`` (numbers of classes) and
        ``sure``, the probability of the guess.
    """
    network.eval()
    mean, std = (torch.tensor(part).view(1, 3, 1, 1).to(data.device) for part in pixels)
    sure, guesses = _predict(network, data, index, mean, std)
    labels, classes = data.labels[index].cpu(), network.classifier.out_features
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    confusion.index_put_((labels, guesses), torch.ones_like(labels), accumulate=True)
    wrong = [int(i) for i in sure.argsort(descending=True) if guesses[i] != labels[i]][:WRONG]
    firsts: dict[int, int] = {}
    for place in (guesses == labels).nonzero().flatten().tolist():
        firsts.setdefault(int(labels[place]), place)
    shown = list(firsts.values())[:MAPS]

    def row(place: int) -> dict[str, Any]:
        named = {"truth": int(labels[place]), "guess": int(guesses[place]), "sure": round(float(sure[place]), 4)}
        return {"image": data_uri(data[index[place : place + 1]].images[0].cpu()), **named}

    maps, side = [], 0
    for place in shown:
        images = data[index[place : place + 1]].images
        heat, side = activation_map(network, (images.float() - mean) / std, int(guesses[place]))
        maps.append({**row(place), "map": data_uri(_overlaid(images[0].cpu(), heat[0].cpu()))})
    return {"confusion": confusion.tolist(), "wrong": [row(place) for place in wrong], "maps": maps, "side": side}


def activation_map(network: Network, images: torch.Tensor, wanted: int) -> tuple[torch.Tensor, int]:
    """Where the evidence for a class is: gradient-weighted class activation maps.

    The feature map is the last one with a side of `LEAST_SIDE` or more, else the network's last: its channels are
    weighted by the mean gradient of the class's logit, summed, and what speaks against the class is cut off.

    Args:
        network: In evaluation mode.
        images: (B, 3, S, S), normalised.
        wanted: Number of the class.

    Returns:
        Maps (B, S, S), 0 to 1, and the side of the feature map, pixels.
    """
    kept: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        kept.append(output)

    last = [network.act2] if network.has_head else []
    hooks = [module.register_forward_hook(keep) for module in (*network.blocks, *last)]
    try:
        with torch.enable_grad():
            logits = network(images.detach().requires_grad_())
            features = next((f for f in reversed(kept) if f.shape[-1] >= LEAST_SIDE), kept[-1])
            (gradients,) = torch.autograd.grad(logits[:, wanted].sum(), features)
    finally:
        for hook in hooks:
            hook.remove()
    weights = gradients.mean((2, 3), keepdim=True)
    heat = (weights * features).sum(1, keepdim=True).relu().detach()
    heat = functional.interpolate(heat, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-12), features.shape[-1]


@torch.inference_mode()
def _predict(
    network: Network, data: Images, index: torch.Tensor, mean: torch.Tensor, std: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Probability and number of the likeliest class of each image at `index`: (N,), (N,), on the CPU."""
    parts = []
    for part in index.split(SCORE_BATCH):
        images = (data[part].images.float() - mean) / std
        parts.append(network(images).float().softmax(1).max(1))
    return torch.cat([p.values.cpu() for p in parts]), torch.cat([p.indices.cpu() for p in parts])


def _overlaid(image: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """A grey image (3, S, S) with the map (S, S) in colour over it, uint8."""
    grey = image.float().mean(0, keepdim=True).expand(3, -1, -1)
    colour, share = torch.tensor(_HEAT).view(3, 1, 1), 0.75 * heat[None]
    return (grey * (1 - share) + colour * share).round().clamp(0, 255).to(torch.uint8)


def data_uri(image: torch.Tensor) -> str:
    """An image uint8 (3, H, W), small, as a data URI: PNG where it is tiny, else JPEG."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    tiny = max(picture.size) <= _SMALL
    file = io.BytesIO()
    picture.save(file, *(("PNG",) if tiny else ("JPEG",)), **({"optimize": True} if tiny else {"quality": 85}))
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
