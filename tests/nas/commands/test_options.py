from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nas import config
from nas.commands import options
from nas.runs import directory as run_dir
from search_space.errors import InputError


def test_flags_become_the_evaluators_settings() -> None:
    parser = argparse.ArgumentParser()
    options.add_evaluator(parser)
    assert config.given({"evaluator": options.evaluator_settings(parser.parse_args([]))}) == {}
    flags = ["--evaluator", "proxy", "--data", "digits", "--epochs", "3", "--trial-timeout", "9", "--device", "cpu"]
    flags += ["--evaluator-preset", "small", "--no-mirror"]
    expected = {"name": "proxy", "preset": "small", "data": "digits", "epochs": 3, "timeout": 9.0, "device": "cpu"}
    assert options.evaluator_settings(parser.parse_args(flags)) == {**expected, "mirror": False}


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_run(parser)
    return parser.parse_args(flags)


def test_a_new_run_takes_a_free_place(tmp_path: Path) -> None:
    path, recorded = options.locate_run(parse(), "nas-search")
    assert path.parent == Path("runs")
    assert recorded is None
    assert options.locate_run(parse("--run-dir", str(tmp_path / "new")), "nas-search") == (tmp_path / "new", None)
    assert options.locate_run(parse("--run-dir", str(tmp_path)), "nas-search") == (tmp_path, None)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match="exists already; add --resume"):
        options.locate_run(parse("--run-dir", str(tmp_path)), "nas-search")


def test_where_nothing_was_recorded_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"event":"ru')
    with pytest.raises(InputError, match="nothing was recorded there yet; start the run again, without --resume"):
        options.locate_run(parse("--run-dir", str(tmp_path), "--resume"), "nas-search")
    assert options.locate_run(parse("--run-dir", str(tmp_path)), "nas-search") == (tmp_path, None)


def test_a_run_that_goes_on_is_named_and_its_config_found(tmp_path: Path) -> None:
    settings = config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator"}])
    run_dir.open_journal(tmp_path, settings).close()
    path, recorded = options.locate_run(parse("--run-dir", str(tmp_path), "--resume"), "nas-search")
    assert path == tmp_path
    assert recorded is not None
    assert config.resolve([recorded]) == settings
    with pytest.raises(InputError, match="--resume: name the run with --run-dir"):
        options.locate_run(parse("--resume"), "nas-search")


def test_settings_of_a_run_that_goes_on_stay(tmp_path: Path) -> None:
    before, more, other = (
        config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator", **change}])
        for change in ({}, {"trials": 64}, {"seed": 1})
    )
    options.check_unchanged(tmp_path, before, more)
    with pytest.raises(InputError, match="was begun with other settings: seed 0, not 1"):
        options.check_unchanged(tmp_path, before, other)


def test_a_command_adds_its_own_to_the_run() -> None:
    parser = argparse.ArgumentParser()
    run = options.add_run(parser)
    run.add_argument("--retrain", type=int)
    assert run.title == "the run"
    assert parser.parse_args(["--retrain", "3", "--set", "a=1", "--set", "b=2"]).set == ["a=1", "b=2"]
