from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import config
from search_space.errors import InputError

TARGET: dict[str, Any] = {"target_flops": "400M"}
SCALARS = (
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.text("abc #:-'\"", max_size=8)
)


def test_defaults_are_resolved_in_full() -> None:
    settings = config.resolve([TARGET])
    assert settings.target_flops == settings.objective.target_macs == 400_000_000
    assert (settings.controller.name, settings.controller.preset) == ("guided", "default")
    assert settings.evaluator.settings["data"] == "digits"
    assert settings.objective.alpha == settings.objective.beta == -0.07


def test_later_layers_win_and_a_new_name_forgets_the_old_settings() -> None:
    layers = [
        TARGET,
        {"controller": {"name": "reinforce", "learning_rate": 0.5}, "trials": 5},
        {"controller": {"hidden": 7}, "trials": 6},
    ]
    settings = config.resolve(layers)
    assert settings.trials == 6
    assert settings.controller.settings["learning_rate"] == 0.5
    assert settings.controller.settings["hidden"] == 7
    assert config.resolve([*layers, {"controller": "random"}]).controller.name == "random"
    paper = config.resolve([*layers, {"controller": {"preset": "paper"}}]).controller
    assert (paper.name, paper.settings["learning_rate"]) == ("reinforce", 3.5e-4)


def test_an_evaluator_brings_its_space_and_trials_unless_the_user_says_others() -> None:
    settings = config.resolve([TARGET, {"evaluator": "imagenet"}])
    assert (settings.space, settings.trials) == ("accel-nasbench", 200)
    settings = config.resolve([TARGET, {"evaluator": "imagenet", "space": "mnasnet", "trials": 7}])
    assert (settings.space, settings.trials) == ("mnasnet", 7)


@pytest.mark.parametrize("name", ["accel-nasbench", "accel-nasbench:/nowhere/anb_dataset_jsons.tar.gz"])
def test_a_config_that_names_the_archive_reads_the_packaged_table(name: str) -> None:
    old = {"name": name, "path": "/nowhere/anb_dataset_jsons.tar.gz", "noise": 0.002}
    settings = config.resolve([TARGET, {"evaluator": old}])
    assert (settings.evaluator.name, settings.evaluator.settings) == ("imagenet", {"noise": 0.002})


def test_the_resolved_config_reads_back_as_itself(tmp_path: Path) -> None:
    settings = config.resolve([TARGET, {"objective": "hard", "band": None, "space": "mnasnet"}])
    (tmp_path / "c.yaml").write_text(config.to_yaml(settings))
    assert config.resolve([config.read(str(tmp_path / "c.yaml"))]) == settings


def test_a_time_reads_as_people_write_it() -> None:
    assert config.resolve([TARGET]).time is None
    for written in ("20m", 1200, "1200s", 1200.0):
        assert config.resolve([TARGET, {"time": written}]).time == 1200
    for wrong in ("soon", "0", -5):
        with pytest.raises(InputError, match="time: expected a time above 0 such as 90s, 20m or 2h, got"):
            config.resolve([TARGET, {"time": wrong}])
    with pytest.raises(InputError, match="time must be at least 1, got 0"):
        dataclasses.replace(config.resolve([TARGET]), time=0.0)


def test_a_time_of_sharing_reads_as_people_write_it() -> None:
    assert config.resolve([TARGET]).share is None
    assert config.resolve([TARGET, {"evaluator": "shared"}]).share == 600
    for written in ("10m", 600, "600s", 600.0):
        assert config.resolve([TARGET, {"share": written}]).share == 600
    with pytest.raises(InputError, match="share: expected a time above 0 such as 90s, 20m or 2h, got 'soon'"):
        config.resolve([TARGET, {"share": "soon"}])
    assert config.resolve([TARGET, {"time": "40m", "share": "25%"}]).share == 600
    with pytest.raises(InputError, match=r"share: a percentage is one of time, .* got '20%', time None"):
        config.resolve([TARGET, {"share": "20%"}])
    with pytest.raises(InputError, match="share must be at least 1, got 0"):
        dataclasses.replace(config.resolve([TARGET]), share=0.0)


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=3), SCALARS)
def test_a_setting_is_parsed_as_yaml(path: list[str], value: object) -> None:
    text = config.strict_yaml.dump({"x": value}).partition(": ")[2].strip() or "''"
    nested: Any = config.parse_setting(f"{'.'.join(path)}={text}")
    for part in path:
        nested = nested[part]
    assert nested == value


@pytest.mark.parametrize("text", ["evaluator.epochs", "=3", ""])
def test_a_setting_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write it as name=value"):
        config.parse_setting(text)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"band": [1.0]}, "config: band: expected 2 values, got 1"),
        ({"objective": {"kind": "softer"}}, "objective"),
        ({"controller": {"name": "random", "hidden": 3}}, "controller random: unknown key 'hidden'"),
        ({"evaluator": {"preset": "huge"}}, "unknown preset of evaluator proxy 'huge'"),
    ],
)
def test_wrong_settings_name_the_field(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        config.resolve([TARGET, layer])


def test_a_component_of_ones_own_is_resolved_by_its_import_path() -> None:
    settings = config.resolve([TARGET, {"evaluator": {"name": "tests.toys:ToyEvaluator", "sleep": 0.5}}])
    assert settings.evaluator.settings["sleep"] == 0.5
    cls, made = config.make("evaluator", settings.evaluator)
    assert cls(made).config.sleep == 0.5


def test_versions_name_what_a_result_depends_on() -> None:
    assert {"python", "nas-b0", "torch", "numpy", "machine"} <= set(config.versions())


def test_controllers_have_one_thread() -> None:
    code = (
        "from nas import config; config.use_one_thread(); import torch, threadpoolctl;"
        "print(torch.get_num_threads(), {p['num_threads'] for p in threadpoolctl.threadpool_info()"
        " if p['user_api'] == 'blas'})"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "1 {1}\n"


@pytest.mark.parametrize(
    ("objective", "slopes"),
    [
        ({"exponent": -0.2}, (-0.2, -0.2)),
        ({"kind": "absolute", "exponent": -0.2}, (-0.2, -0.2)),
        ({"kind": "hard", "exponent": -0.2}, (0.0, -0.2)),
        ({"kind": "hard"}, (0.0, -1.0)),
    ],
)
def test_an_exponent_is_the_slope_and_hard_stays_hard(objective: dict[str, Any], slopes: tuple[float, float]) -> None:
    found = config.resolve([TARGET, {"objective": objective}]).objective
    assert (found.alpha, found.beta) == slopes
    over = config.resolve([TARGET, {"objective": objective.get("kind", "soft")}, {"objective": objective}]).objective
    assert over == found
