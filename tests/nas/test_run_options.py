from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nas import config, run_dir, run_options
from search_space.errors import InputError


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run_options.add_arguments(parser)
    return parser.parse_args(flags)


def test_a_new_run_takes_a_free_place(tmp_path: Path) -> None:
    path, recorded = run_options.locate(parse())
    assert path.parent == Path("runs")
    assert recorded is None
    assert run_options.locate(parse("--run-dir", str(tmp_path / "new"))) == (tmp_path / "new", None)
    with pytest.raises(InputError, match="exists already; add --resume"):
        run_options.locate(parse("--run-dir", str(tmp_path)))


def test_a_run_that_goes_on_is_named_and_its_config_found(tmp_path: Path) -> None:
    settings = config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator"}])
    run_dir.open_journal(tmp_path, settings).close()
    path, recorded = run_options.locate(parse("--run-dir", str(tmp_path), "--resume"))
    assert path == tmp_path
    assert recorded is not None
    assert config.resolve([recorded]) == settings
    with pytest.raises(InputError, match="--resume: name the run with --run-dir"):
        run_options.locate(parse("--resume"))


def test_settings_of_a_run_that_goes_on_stay(tmp_path: Path) -> None:
    before, more, other = (
        config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator", **change}])
        for change in ({}, {"trials": 64}, {"seed": 1})
    )
    run_options.check_unchanged(tmp_path, before, more)
    with pytest.raises(InputError, match="was begun with other settings: seed 0, not 1"):
        run_options.check_unchanged(tmp_path, before, other)


def test_a_command_adds_its_own_to_the_run() -> None:
    parser = argparse.ArgumentParser()
    run = run_options.add_arguments(parser)
    run.add_argument("--retrain", type=int)
    assert run.title == "the run"
    assert parser.parse_args(["--retrain", "3", "--set", "a=1", "--set", "b=2"]).set == ["a=1", "b=2"]
