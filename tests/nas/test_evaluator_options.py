from __future__ import annotations

import argparse

from nas import config, evaluator_options


def test_flags_become_the_evaluators_settings() -> None:
    parser = argparse.ArgumentParser()
    evaluator_options.add_arguments(parser)
    assert config.given({"evaluator": evaluator_options.settings(parser.parse_args([]))}) == {}
    flags = ["--evaluator", "proxy", "--data", "digits", "--epochs", "3", "--trial-timeout", "9", "--device", "cpu"]
    flags += ["--evaluator-preset", "small"]
    expected = {"name": "proxy", "preset": "small", "data": "digits", "epochs": 3, "timeout": 9.0, "device": "cpu"}
    assert evaluator_options.settings(parser.parse_args(flags)) == expected
