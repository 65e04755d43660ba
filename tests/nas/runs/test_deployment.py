"""One size from the images to the last file: what is costed, searched, trained, exported and scaled."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas import config
from nas.commands import export, scale, search, train
from nas.config import SearchConfig
from nas.grid.config import load_baseline
from nas.runs.deployment import deployed, describe, load_space, space_of
from nas.runs.header import from_header
from nas.runs.record import load
from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.errors import InputError
from search_space.space import SearchSpace
from tests.nas_small import SMALL
from tests.toys import ToyEvaluator


def resolved(**settings: Any) -> SearchConfig:
    layers = [{"target_flops": "400M", **settings}]
    return deployed(config.resolve(layers), layers)


@pytest.fixture
def cifar(tmp_path: Path) -> str:
    """Ten images in each of five files, one a class."""
    generator = np.random.default_rng(0)
    for number in range(1, 6):
        records = generator.integers(0, 256, (10, 1 + 3 * 32 * 32), dtype=np.uint8)
        records[:, 0] = np.arange(10)
        (tmp_path / f"data_batch_{number}.bin").write_bytes(records.tobytes())
        (tmp_path / "test_batch.bin").write_bytes(records.tobytes())
    return f"cifar10:{tmp_path}"


def test_without_data_the_papers_size_and_the_digits_as_they_are() -> None:
    settings = resolved()
    assert (settings.resolution, settings.classes) == (224, 1000)
    assert settings.evaluator == config.resolve([{"target_flops": "400M"}]).evaluator
    assert space_of(settings).decisions == SearchSpace.load("efficientnet").decisions
    said = "Networks for 224 x 224 pixels and 1000 classes, 400M multiply-adds; trained as miniatures (0.5 times the"
    assert describe(settings).startswith(said)


def test_the_datas_own_size(cifar: str, tmp_path: Path) -> None:
    for name, colour in (("cats", 0), ("dogs", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (20, 20), (colour, number, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    own = {"digits": (16, 10), cifar: (32, 10), f"folder:{tmp_path / 'photos'}": (224, 2)}
    for data, size in own.items():
        settings = resolved(evaluator={"data": data, "cache_dir": str(tmp_path)})
        assert (settings.resolution, settings.classes) == size
        assert settings.evaluator.settings["width"] < 1  # 400M are too dear to train as they are
        other = resolved(evaluator={"data": data, "cache_dir": str(tmp_path)}, resolution=96)
        assert (other.resolution, other.classes) == (96, size[1])


def test_what_is_cheap_is_trained_as_it_is_deployed(cifar: str) -> None:
    settings = resolved(target_flops="3M", evaluator={"data": cifar})
    miniature = {name: settings.evaluator.settings[name] for name in ("resolution", "width", "unstrided")}
    assert miniature == {"resolution": 32, "width": 1.0, "unstrided": 0}
    assert describe(settings).endswith("32 x 32 pixels and 10 classes, 3M multiply-adds; trained as they are deployed")
    asked = resolved(target_flops="3M", evaluator={"data": cifar, "width": 0.25})
    assert (asked.evaluator.settings["width"], asked.evaluator.settings["unstrided"]) == (0.25, 1)


def test_a_run_that_does_not_say_its_size_is_as_it_was() -> None:
    plain = config.to_plain(resolved(target_flops="40M", space="mnasnet"))
    before = {name: value for name, value in plain.items() if name not in ("resolution", "classes")}
    settings = from_header(before, SearchConfig)
    assert space_of(settings).decisions == SearchSpace.load("mnasnet").decisions
    assert space_of(from_header(plain, SearchConfig)).decisions != SearchSpace.load("mnasnet").decisions
    assert describe(settings) == ""


class Fixed(ToyEvaluator):
    fixed_networks = True


class OwnSpace:
    name = "own"
    decisions = ()

    def decode(self, tokens: Any) -> Architecture:
        return Architecture.load("efficientnet-b0")


FIXED, OWN = f"{__name__}:Fixed", f"{__name__}:OwnSpace"


def test_what_is_not_possible(cifar: str) -> None:
    with pytest.raises(InputError, match=r"--classes 7: the images of 'cifar10:.*' show 10 classes"):
        resolved(evaluator={"data": cifar}, classes=7)
    with pytest.raises(InputError, match="resolution must be a whole number from 8 to 1024, got 4"):
        load_space(resolved(resolution=4))
    with pytest.raises(InputError, match="100,000 MACs is outside the space efficientnet at 224 pixels"):
        load_space(resolved(target_flops="100K"))


def test_networks_with_a_size_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings, whose in (({"evaluator": FIXED}, "evaluator"), ({"space": OWN}, "space")):
        found = resolved(**settings)
        assert (found.resolution, found.classes) == (None, None)
        with pytest.raises(InputError, match=f"--resolution 32: the networks of the {whose} .* a size of their own"):
            resolved(**settings, resolution=32)


def test_a_space_that_decides_the_resolution(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("format: nas-space/1\nname: own\nreference: efficientnet-b0\nnetwork: {resolution: [192, 240]}\n")
    settings = resolved(space=str(path))
    assert (settings.resolution, settings.classes) == (None, 1000)
    assert "several resolutions and 1000 classes" in describe(settings)
    assert space_of(settings).decisions == SearchSpace.load(path).decisions


def test_one_size_from_the_search_to_the_last_file(
    cifar: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, flags = tmp_path / "run", ["--target-flops", "1M", "--trials", "2", "--batch", "2", "--quiet", "--epochs", "1"]
    where = ["--run-dir", str(run), "--engine", "local", "--controller", "random", "--data", cifar]
    assert search.main([*flags, *where]) == 0
    best, metadata = read_document((run / "best.yaml").read_text(), "best")
    macs = metadata["metrics"]["macs"]
    assert (best.resolution, best.classes) == (32, 10)
    assert count(best).macs == macs
    assert 500_000 <= macs <= 1_500_000
    assert load(run).best_architecture == best
    assert search.main(["--run-dir", str(run), "--resume", "--trials", "3", "--quiet", "--engine", "local"]) == 0

    trained = tmp_path / "trained"
    file = str(run / "best.yaml")
    best, metadata = read_document((run / "best.yaml").read_text(), "best")
    macs = metadata["metrics"]["macs"]
    assert train.main([file, "--data", cifar, "--epochs", "1", "--threads", "1", "--quiet", "-o", str(trained)]) == 0
    assert Architecture.load(trained / "network.yaml") == best
    assert json.loads((trained / "metrics.json").read_text())["macs"] == macs
    assert export.main([file, "--to", "torch", "-o", str(tmp_path / "out")]) == 0
    (source,) = (tmp_path / "out").glob("*.py")
    assert re.search("10 classes, 32 x 32 pixels", source.read_text())
    assert scale.main([file, "--phi", "0", "-o", str(tmp_path / "scaled.yaml")]) == 0
    assert Architecture.load(tmp_path / "scaled.yaml") == best == load_baseline(file, tmp_path)[1]
    capsys.readouterr()


def test_the_space_around_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.to_yaml())
    evaluator = {"data": "digits", "inherit": "w.safetensors", "parent": str(tmp_path / "small.yaml")}
    around = resolved(space="checkpoint", evaluator=evaluator, target_flops="200K")
    assert (around.resolution, around.evaluator.settings["base_resolution"]) == (16, 16)
    space = space_of(around)
    assert isinstance(space, SearchSpace)
    assert [stage.op for stage in space.reference.stages] == ["mbconv", "mbconv"]
    assert {decision.name.partition(".")[2] for decision in space.decisions} >= {"kernel", "channels", "layers"}
    plain = space_of(resolved(space="checkpoint"))
    assert isinstance(plain, SearchSpace)
    assert plain.reference == Architecture.load("efficientnet-b0")
    other = space_of(resolved(evaluator=evaluator, target_flops="200K"))  # any other space is what it says
    assert isinstance(other, SearchSpace)
    assert len(other.reference.stages) == 7
    (tmp_path / "small.yaml").unlink()
    with pytest.raises(InputError, match=r"small\.yaml"):
        space_of(around)
