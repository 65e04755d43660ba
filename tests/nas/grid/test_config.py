from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nas import config
from nas.grid import config as grid_config
from nas.grid.config import GridConfig, load_baseline
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import strict_yaml

B0 = Architecture.load("efficientnet-b0")
BASE: dict[str, Any] = {"name": "b0", "baseline": B0}


def test_defaults_put_the_papers_answer_inside() -> None:
    settings = grid_config.resolve([BASE])
    assert (settings.bounds.target, settings.bounds.product) == (2.0, 2.0)
    assert settings.bounds.tolerance > 2 - 1.2 * 1.1**2 * 1.15**2
    assert settings.evaluator.settings["epochs"] == 2


def test_the_proxy_is_told_the_baselines_resolution() -> None:
    own = Architecture(resolution=160, stages=B0.stages)
    assert grid_config.resolve([{**BASE, "baseline": own}]).evaluator.settings["base_resolution"] == 160
    toy = grid_config.resolve([BASE, {"evaluator": "tests.toys:ToyEvaluator"}])
    assert "base_resolution" not in toy.evaluator.settings


def test_what_is_saved_reads_back(tmp_path: Path) -> None:
    settings = grid_config.resolve([BASE, {"target_flops": "900M", "rungs": [2, 6]}])
    (tmp_path / "config.yaml").write_text(config.to_yaml(settings))
    assert grid_config.resolve([config.read(str(tmp_path / "config.yaml"), GridConfig)]) == settings
    assert strict_yaml.load(config.to_yaml(settings), "text")["format"] == "nas-grid/1"
    with pytest.raises(InputError, match=r"config\.yaml: not a search config"):
        config.read(str(tmp_path / "config.yaml"))


def test_the_target_follows_phi_or_the_budget() -> None:
    assert grid_config.resolve([{**BASE, "phi": 0.5}]).bounds.target == pytest.approx(2**0.5)
    assert grid_config.resolve([{**BASE, "phi": 0.5}]).bounds.product == pytest.approx(2)
    assert grid_config.resolve([{**BASE, "target_flops": "1157444256"}]).bounds.target == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"phi": 0}, "phi must be above 0 .*, got 0"),
        ({"phi": -1}, "phi must be above 0 .*, got -1"),
        ({"step": 0}, "step must be 0.01 to 1"),
        ({"tolerance": 0}, "tolerance must be above 0"),
        ({"band": 2}, "band must be above 0 and at most 1"),
        ({"rungs": [2, 2]}, "rungs must be rising whole numbers from 1"),
        ({"rungs": []}, "rungs must be rising"),
        ({"finalists": 0}, "finalists must be at least 1"),
        ({"repeats": 1}, "repeats must be at least 2: one training shows no noise"),
        ({"family": -1}, "family must be 0 to 100"),
        ({"family_from": 1}, "family_from must be -10 to 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"constraint": "true"}, "constraint: must be one of realised, nominal"),
        ({"target_flops": "300M"}, "target_flops 300M: the baseline b0 alone has 385.8M MACs"),
        ({"target_flops": "many"}, "target_flops: expected an amount"),
        ({"alpha": 1}, "unknown key 'alpha'"),
    ],
)
def test_bad_settings_are_one_line(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        grid_config.resolve([BASE, setting])
    assert "\n" not in str(error.value)


def test_the_baseline_is_what_is_named_or_the_newest_best_or_b0(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    name, network, said = load_baseline(None, runs)
    assert (name, network) == ("efficientnet-b0", B0)
    assert said.startswith(f"Baseline efficientnet-b0 (no --arch, and no run in {runs}/): 385.8M MACs, 224 pixels")
    for age, run in ((20, "old"), (10, "new"), (30, "older")):
        (runs / run).mkdir(parents=True)
        (runs / run / "best.yaml").write_text(Architecture(resolution=100 + age, stages=B0.stages).to_yaml(name=run))
        os.utime(runs / run / "best.yaml", (1e9 - age, 1e9 - age))
    name, network, said = load_baseline(None, runs)
    assert (name, network.resolution) == ("new", 110)
    assert "the newest run's best" in said
    assert load_baseline("mnasnet-a1", runs)[0] == "mnasnet-a1"
    assert load_baseline(str(runs / "old" / "best.yaml"), runs)[0] == "old"


def test_a_name_makes_a_file_name(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(B0.to_yaml(name="../my net"))
    assert load_baseline(str(tmp_path / "x.yaml"), tmp_path)[0] == "..-my-net"


def test_a_broken_baseline_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(B0.to_yaml().replace("kernel: 5", "kernel: 4", 1))
    with pytest.raises(InputError, match=r"x\.yaml: stages\[2\]: kernel must be 3, 5 or 7, got 4"):
        load_baseline(str(tmp_path / "x.yaml"), tmp_path)
    with pytest.raises(InputError, match=r"unknown architecture 'none\.yaml'"):
        load_baseline("none.yaml", tmp_path)
