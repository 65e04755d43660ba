import dataclasses
import importlib
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import nn

from evaluator.data.trained_on import Origin, TrainedOn
from evaluator.weights import IMAGENET_PIXELS, load_weights, read_trained_on, to_bytes
from nas.export.timm_import import import_network
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from search_space.errors import InputError
from search_space.scaling import efficientnet
from tests.networks import outputs, pretend_trained

SMALL = Architecture(
    resolution=32,
    classes=5,
    stem=8,
    stages=(Stage(op="mbconv", expand=1, kernel=3, channels=8), Stage(op="mbconv", expand=3, kernel=5, channels=16)),
    head=16,
)
B = Architecture.load("efficientnet-b0")
TRAINED = TrainedOn(
    pixel_mean=(1, 2, 3), pixel_std=(4, 5, 6), class_names=tuple("abcde"), input_size=32, batchnorm_momentum=0.1
)


def assert_loads(reference: nn.Module, architecture: Architecture, path: Path) -> None:
    pretend_trained(reference)
    torch.save(reference.state_dict(), path)
    network = build_model(architecture)
    load_weights(network, architecture, path)
    wanted = outputs(reference)
    assert 1e-2 < wanted.abs().max() < 1e2
    assert (outputs(network) - wanted).abs().max() / wanted.abs().max() < 1e-5
    seven = dataclasses.replace(architecture, classes=7)
    other = build_model(seven)
    untrained = [tensor.clone() for tensor in other.classifier.state_dict().values()]
    assert load_weights(other, seven, path, any_classes=True) == Origin(architecture.classes, IMAGENET_PIXELS)
    assert all(map(torch.equal, other.classifier.state_dict().values(), untrained))
    whole = network.state_dict()
    rest = {name: tensor for name, tensor in other.state_dict().items() if not name.startswith("classifier")}
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(tensor, whole[name]) for name, tensor in rest.items())


SIZES = [pytest.param(f"b{i}", marks=[pytest.mark.slow] if i > 2 else []) for i in range(8)]


@pytest.mark.parametrize("size", SIZES)
def test_timm_state_dicts(size: str, timm: ModuleType, tmp_path: Path) -> None:
    reference = timm.create_model(f"efficientnet_{size}", pretrained=False)
    assert_loads(reference, efficientnet(size, B), tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-b1", "mobilenet-v2"])
def test_other_networks_of_timm(name: str, timm: ModuleType, tmp_path: Path) -> None:
    theirs = {"mnasnet-a1": "semnasnet_100", "mnasnet-b1": "mnasnet_100", "mobilenet-v2": "mobilenetv2_100"}
    reference = timm.create_model(theirs[name], pretrained=False)
    assert_loads(reference, Architecture.load(name), tmp_path / "weights.pth")


def test_a_small_network_of_timm(timm: ModuleType, tmp_path: Path) -> None:
    reference = timm.create_model("mnasnet_small", pretrained=False)
    assert_loads(reference, import_network(["mnasnet_small"], {})[0], tmp_path / "weights.pth")


def half(architecture: Architecture, stem: int, *channels: int) -> Architecture:
    stages = zip(architecture.stages, channels, strict=True)
    new = tuple(dataclasses.replace(stage, channels=width) for stage, width in stages)
    return dataclasses.replace(architecture, stem=stem, stages=new)


B1 = Architecture.load("mnasnet-b1")
OTHERS = {
    "mobilenet_v2": Architecture.load("mobilenet-v2"),
    "mnasnet1_0": B1,
    "mnasnet0_5": half(B1, 16, 8, 16, 24, 40, 48, 96, 160),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_of_torchvision(name: str, timm: ModuleType, tmp_path: Path) -> None:
    models: Any = importlib.import_module("torchvision.models")
    assert_loads(getattr(models, name)(weights=None), OTHERS[name], tmp_path / "weights.pth")


def test_weights_made_for_tensorflows_padding_are_refused(tmp_path: Path) -> None:
    for name in ("tf_efficientnet_b0_aa-827b6e33.pth", "models--timm--tf_mobilenetv3/blobs/model.safetensors"):
        with pytest.raises(InputError, match=r"tf_ pad images as TensorFlow does.*or rename the file"):
            load_weights(build_model(SMALL), SMALL, tmp_path / name)


def test_another_number_of_classes_in_our_own_file(tmp_path: Path) -> None:
    (tmp_path / "five.safetensors").write_bytes(to_bytes(build_model(SMALL), SMALL, TRAINED))
    (tmp_path / "bare.safetensors").write_bytes(to_bytes(build_model(SMALL), SMALL))
    seven = dataclasses.replace(SMALL, classes=7)
    network = build_model(seven)
    untrained = network.classifier.weight.clone()
    origin = load_weights(network, seven, tmp_path / "five.safetensors", any_classes=True)
    assert origin == Origin(5, ((1, 2, 3), (4, 5, 6)), TRAINED.class_names)
    assert torch.equal(network.classifier.weight, untrained)
    assert load_weights(network, seven, tmp_path / "bare.safetensors", any_classes=True) == Origin(5, None)
    relu = dataclasses.replace(seven, activation="relu")
    with pytest.raises(InputError, match="its strides, shortcuts or activation differ"):
        load_weights(build_model(relu), relu, tmp_path / "five.safetensors", any_classes=True)
    wide = dataclasses.replace(seven, head=32)
    with pytest.raises(InputError, match=r"weights of another architecture: conv_head.weight is \(16"):
        load_weights(build_model(wide), wide, tmp_path / "five.safetensors", any_classes=True)


@pytest.mark.parametrize(
    "odd",
    [
        torch.empty(5, 16, device="meta"),
        torch.zeros(5, 16).to_sparse(),
        torch.zeros(5, 16, dtype=torch.complex64),
        torch.zeros(1, 1).expand(900_000, 16),
    ],
    ids=["meta", "sparse", "complex", "one number"],
)
def test_tensors_that_do_not_hold_their_numbers(odd: torch.Tensor, tmp_path: Path) -> None:
    torch.save({**build_model(SMALL).state_dict(), "classifier.weight": odd}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"w.pt: classifier.weight is no tensor of plain numbers"):
        load_weights(build_model(SMALL), SMALL, tmp_path / "w.pt", any_classes=True)


@pytest.mark.parametrize("size", SIZES)
def test_torchvision_state_dicts(size: str, timm: ModuleType, tmp_path: Path) -> None:
    models: Any = importlib.import_module("torchvision.models")  # the fixture made torchvision importable
    reference = getattr(models, f"efficientnet_{size}")(weights=None)
    assert_loads(reference, efficientnet(size, B), tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["resnet-18", "resnet-50"])
@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_resnets(name: str, library: str, timm: ModuleType, tmp_path: Path) -> None:
    theirs = name.replace("-", "")
    models: Any = importlib.import_module("torchvision.models")
    reference = timm.create_model(theirs) if library == "timm" else getattr(models, theirs)(weights=None)
    assert_loads(reference, Architecture.load(name), tmp_path / "weights.pth")


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_and_parallel_state_dicts(wrapper: str, tmp_path: Path) -> None:
    source = build_model(SMALL, generator=torch.Generator().manual_seed(3))
    state = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3}, tmp_path / "w.pt")
    network = build_model(SMALL)
    load_weights(network, SMALL, tmp_path / "w.pt", eps=1e-3)
    assert torch.equal(outputs(network), outputs(source))


def test_our_own_file_keeps_every_bit(tmp_path: Path) -> None:
    source = build_model(SMALL, generator=torch.Generator().manual_seed(3))
    pretend_trained(source)
    (tmp_path / "w.safetensors").write_bytes(to_bytes(source, SMALL))
    network = build_model(SMALL)
    load_weights(network, SMALL, tmp_path / "w.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name


def write(path: Path, architecture: Architecture = SMALL, **changes: torch.Tensor) -> Path:
    state = {**build_model(architecture).state_dict(), **changes}
    path.write_bytes(save(state))
    return path


def test_files_that_do_not_fit_are_refused_in_one_line(tmp_path: Path) -> None:
    network = build_model(SMALL)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    whole = write(tmp_path / "whole.safetensors").read_bytes()
    torch.save(network.state_dict(), tmp_path / "whole.pt")
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:5000])
    (tmp_path / "header.safetensors").write_bytes(struct.pack("<Q", 10**15) + b"{" + whole[9:])
    (tmp_path / "text.pt").write_text("these are no weights\n")
    (tmp_path / "empty.pt").write_bytes(b"")
    torch.save({"model": 3}, tmp_path / "no-tensors.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "pickled.pt")
    write(tmp_path / "classes.safetensors", dataclasses.replace(SMALL, classes=7))
    write(tmp_path / "wider.safetensors", dataclasses.replace(SMALL, stem=16))
    write(tmp_path / "more.safetensors", bonus=torch.zeros(1))
    deeper = dataclasses.replace(SMALL, stages=(*SMALL.stages, SMALL.stages[1]))
    write(tmp_path / "deeper.safetensors", deeper)
    write(tmp_path / "nan.safetensors", **{"conv_head.weight": torch.full((16, 16, 1, 1), torch.nan)})
    relu = dataclasses.replace(SMALL, activation="relu")
    (tmp_path / "relu.safetensors").write_bytes(to_bytes(build_model(relu), relu))
    expected = {
        "absent.pt": "cannot be read: No such file",
        "cut.safetensors": "broken or truncated safetensors",
        "cut.pt": "not a weights file, or broken",
        "header.safetensors": "broken or truncated safetensors",
        "text.pt": "not a weights file, or broken",
        "empty.pt": "not a weights file, or broken",
        "no-tensors.pt": "holds no state dict",
        "pickled.pt": "not a weights file, or broken",
        "classes.safetensors": r"another number of classes: classifier.weight is \(7, 16\), must be \(5, 16\)",
        "wider.safetensors": "weights of another architecture: conv_stem.weight is",
        "more.safetensors": "1 are of another network, first bonus",
        "deeper.safetensors": "are of another network, first blocks.2",
        "nan.safetensors": "conv_head.weight holds NaN",
        "relu.safetensors": "its strides, shortcuts or activation differ",
    }
    for name, words in expected.items():
        with pytest.raises(InputError, match=words) as caught:
            load_weights(network, SMALL, tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_what_weights_were_trained_on_rides_along_in_one_order(tmp_path: Path) -> None:
    network = build_model(SMALL)
    written = to_bytes(network, SMALL, TRAINED)
    (tmp_path / "w.safetensors").write_bytes(written)
    names = [name.encode() for name in TRAINED.to_metadata()]
    header = written[8 : 8 + int.from_bytes(written[:8], "little")]
    assert [name for _, name in sorted((header.index(name), name) for name in names)] == sorted(names)
    assert len(header) % 8 == 0
    assert read_trained_on(tmp_path / "w.safetensors", 5) == TRAINED
    other = build_model(SMALL, generator=torch.Generator().manual_seed(5))
    load_weights(other, SMALL, tmp_path / "w.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_weights_that_do_not_say_what_they_were_trained_on(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(to_bytes(build_model(SMALL), SMALL))
    torch.save(build_model(SMALL).state_dict(), tmp_path / "w.pth")
    assert read_trained_on(tmp_path / "w.safetensors", 5) is None
    assert read_trained_on(tmp_path / "w.pth", 5) is None
