from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from evaluator.data.dataset import Images
from nas.training.inside import LEAST_SIDE, MAPS, THUMBNAIL, WRONG, activation_map, data_uri, look
from search_space.architecture import Architecture, Stage
from search_space.builder import Network, build_model

PLAIN = Architecture(
    resolution=16,
    classes=3,
    stem=8,
    stem_stride=1,
    stages=(Stage(op="conv", kernel=3, stride=2, channels=8), Stage(op="conv", kernel=3, stride=2, channels=6)),
    head=5,
)


def network(architecture: Architecture = PLAIN) -> Network:
    return build_model(architecture, generator=torch.Generator().manual_seed(1)).eval()


def images(count: int = 24, side: int = 16) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.randint(3, (count,), generator=generator))


PIXELS = ((120.0, 121.0, 122.0), (60.0, 61.0, 62.0))


def opened(uri: str) -> Image.Image:
    kind, _, data = uri.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_what_it_says_of_images_is_what_the_network_says() -> None:
    model, data, index = network(), images(), torch.arange(4, 24)
    found = look(model, data, index, PIXELS)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in PIXELS)
    with torch.inference_mode():
        chances = model((data.images[4:].float() - mean) / std).softmax(1)
    labels, guesses = data.labels[4:], chances.argmax(1)
    expected = np.zeros((3, 3), int)
    for truth, guess in zip(labels.tolist(), guesses.tolist(), strict=True):
        expected[truth][guess] += 1
    assert found["confusion"] == expected.tolist()
    wrong = (guesses != labels).nonzero().flatten()
    order = wrong[chances.amax(1)[wrong].argsort(descending=True)][:WRONG].tolist()
    assert len(order) > 3
    for row, place in zip(found["wrong"], order, strict=True):
        assert (row["truth"], row["guess"]) == (int(labels[place]), int(guesses[place]))
        assert row["sure"] == pytest.approx(float(chances[place].max()), abs=1e-4)
        shown = torch.from_numpy(np.array(opened(row["image"]))).permute(2, 0, 1)
        assert torch.equal(shown, data.images[4 + place])
    right = {int(label) for label, guess in zip(labels, guesses, strict=True) if label == guess}
    assert sorted(row["truth"] for row in found["maps"]) == sorted(right)[:MAPS]
    for row in found["maps"]:
        assert row["truth"] == row["guess"]
        assert opened(row["map"]).size == opened(row["image"]).size == (16, 16)
    assert found["side"] == 4


def test_a_map_of_the_last_layer_is_the_classifiers_weighted_sum() -> None:
    """There gradient-weighted maps are class activation maps (Zhou et al., arXiv:1512.04150, equation 2)."""
    model = network()
    kept: list[torch.Tensor] = []
    hook = model.act2.register_forward_hook(lambda module, inputs, output: kept.append(output.detach()))
    batch = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    for wanted in range(3):
        kept.clear()
        heat, side = activation_map(model, batch, wanted)
        weights = model.classifier.weight[wanted].detach().view(1, -1, 1, 1)
        raw = (weights * kept[0]).sum(1, keepdim=True).relu()
        raw = torch.nn.functional.interpolate(raw, size=(16, 16), mode="bilinear", align_corners=False)[:, 0]
        assert side == 4
        torch.testing.assert_close(heat, raw / raw.amax((1, 2), keepdim=True).clamp_min(1e-12), atol=1e-5, rtol=1e-5)
    hook.remove()
    assert all(not module._forward_hooks for module in model.modules())


def test_features_of_a_pixel_or_two_are_passed_over() -> None:
    deep = Architecture(
        resolution=16,
        classes=3,
        stem=8,
        stages=tuple(Stage(op="conv", kernel=3, stride=2, channels=8) for _ in range(3)),
        head=0,
    )
    heat, side = activation_map(network(deep), torch.randn(1, 3, 16, 16), 0)
    assert side == LEAST_SIDE
    assert heat.shape == (1, 16, 16)
    _, side = activation_map(network(deep), torch.randn(1, 3, 8, 8), 0)
    assert side == 1  # none is as large: the last one


def test_images_are_embedded_small() -> None:
    large = opened(data_uri(images(1, 300).images[0]))
    assert (large.size, large.format) == ((THUMBNAIL, THUMBNAIL), "JPEG")
    assert opened(data_uri(images(1, 32).images[0])).format == "PNG"
