import dataclasses

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from evaluator.proxy import FULL_MACS, LITTLE_PIXELS, Proxy
from evaluator.proxy_config import ProxyConfig
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.evaluator.test_short_training import QUICK, SMALL, inheriting


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device must be cpu or auto where there is no CUDA device"):
        Proxy(dataclasses.replace(QUICK, device="cuda"))


def test_presets_say_what_their_ranking_is_worth():
    assert Proxy.presets["default"] == Proxy.presets["demo"]
    assert Proxy.advice(ProxyConfig()).startswith("--evaluator-preset small --data folder:DIR; for ImageNet")
    assert Proxy.advice(ProxyConfig(data="folder:photos")) == "--evaluator-preset small --data folder:photos"
    assert Proxy.caveat(ProxyConfig())
    assert Proxy.caveat(ProxyConfig(data="folder:photos", resolution=32))
    assert [name for name, config in Proxy.presets.items() if not Proxy.caveat(config)] == [
        "small",
        "imagenet100",
        "imagenet",
    ]
    # MnasNet, section 5: 50,000 of ImageNet's 1,281,167 training images are held out.
    assert round(1_281_167 * Proxy.presets["imagenet"].validation_share, -3) == 50_000


@pytest.mark.parametrize("preset", ["imagenet100", "imagenet"])
def test_presets_for_data_of_ones_own_name_where_they_look(preset):
    with pytest.raises(InputError, match=preset):
        Proxy(dataclasses.replace(Proxy.presets[preset], device="cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["small", "imagenet100", "imagenet"])
def test_presets_for_a_gpu_train_efficientnet_b0(tmp_path, preset):
    """One epoch on a folder of digits: what a preset is worth needs a GPU, that it runs does not."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:60], digits.target, strict=False)):
        path = tmp_path / "train" / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).resize((96, 96)).save(path)
    config = dataclasses.replace(
        Proxy.presets[preset],
        data=f"folder:{tmp_path / 'train'}",
        epochs=1,
        batch_size=16,
        validation_share=0.3,
        device="cpu",
        cache_dir=str(tmp_path / "cache"),
    )
    evaluation = Proxy(config).evaluate(Architecture.load("efficientnet-b0"), seed=0)
    assert evaluation.status == "ok", evaluation.reason


def test_at_width_1_a_miniature_keeps_channels_that_are_no_multiple_of_8():
    odd = dataclasses.replace(SMALL, stem=20, stages=(dataclasses.replace(SMALL.stages[0], channels=12),))
    same = Proxy.measured(ProxyConfig(width=1.0, unstrided=0), odd)
    assert same == dataclasses.replace(odd, dropout=0.0)


def test_what_is_cheap_is_trained_with_its_own_strides_and_what_is_not_narrower():
    def deployed(resolution, macs, config=None):
        found = Proxy.deployed_as(config or ProxyConfig(), resolution, macs)
        return found.resolution, found.width, found.unstrided

    demo = ProxyConfig()
    as_it_is = (demo.resolution, demo.width, demo.unstrided)
    assert deployed(96, FULL_MACS) == (96, 1.0, 0)
    assert deployed(LITTLE_PIXELS, 4 * FULL_MACS) == (LITTLE_PIXELS, 0.5, 0)
    assert deployed(LITTLE_PIXELS, 400 * FULL_MACS) == (LITTLE_PIXELS, 0.1, 0)
    assert deployed(LITTLE_PIXELS + 1, FULL_MACS + 1) == as_it_is
    assert deployed(96, FULL_MACS, ProxyConfig(width=0.3)) == (demo.resolution, 0.3, demo.unstrided)


def test_fields_at_their_bounds_are_allowed():
    edges = {"resolution": 8, "base_resolution": 1, "width": 4.0, "unstrided": 0, "max_images": 20, "threads": 1}
    assert dataclasses.replace(ProxyConfig(), **edges).threads == 1
    assert dataclasses.replace(ProxyConfig(), resolution=1024, threads=1024, timeout=0.001).resolution == 1024


def test_weights_to_inherit_and_the_network_that_they_are_of_go_together(tmp_path):
    with pytest.raises(InputError, match="parent must be given where inherit is, got None"):
        ProxyConfig(inherit="w.safetensors")
    config = inheriting(tmp_path)
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:999])
    with pytest.raises(InputError, match=r"w.safetensors: broken or truncated"):
        Proxy(config)


def test_a_network_that_is_trained_itself_is_no_demonstration() -> None:
    cifar = ProxyConfig(data="cifar10:images", epochs=1)
    assert "miniature" in Proxy.caveat(cifar)
    itself = Proxy.deployed_as(cifar, 32, 3_000_000)
    assert (itself.width, itself.unstrided, itself.resolution) == (1.0, 0, 32)
    assert Proxy.caveat(itself) == ""
    assert "miniature" in Proxy.caveat(Proxy.deployed_as(cifar, 32, 4 * FULL_MACS))
