from __future__ import annotations

import dataclasses
from pathlib import Path

from PIL import Image

from nas import config
from nas.training.retrain import retrain
from search_space.architecture import Architecture
from tests.nas_small import SMALL


def test_a_folder_is_seen_as_the_search_saw_it_where_that_says_no_size(tmp_path: Path) -> None:
    """Networks of a space of one's own: of several resolutions, which the search's images have not."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40, 30), (90, 9 * number, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "run" / "top").mkdir(parents=True)
    for rank, side in enumerate((48, 96), 1):
        network = dataclasses.replace(SMALL, resolution=side, classes=1000)
        (tmp_path / "run" / "top" / f"{rank:02d}.yaml").write_text(network.to_yaml())
    evaluator = {"name": "proxy", "data": f"folder:{tmp_path / 'photos'}", "device": "cpu"}
    settings = config.resolve([{"target_flops": "400M", "evaluator": evaluator}])
    assert settings.classes is None
    retrain(2, settings, tmp_path / "run", quiet=True)
    found = [Architecture.load(tmp_path / "run" / "trained" / name / "network.yaml") for name in ("01", "02")]
    assert [network.resolution for network in found] == [64, 64]
