from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nas.commands import search
from nas.runs.record import load
from search_space.space import find_space

pytest.importorskip("ray.tune")
ARGV = ["--target-flops", "400M", "--evaluator", "tests.toys:ToyEvaluator", "--quiet", "--trials", "8"]
CALLS: list[tuple[str, Any]] = []


class Told:
    """What Tune calls, kept in order."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda **info: CALLS.append((name, info))


def test_a_callback_is_told_of_every_trial_in_tunes_order(tmp_path: Path) -> None:
    CALLS.clear()
    own = f"{__name__}:Told"
    argv = [*ARGV, "--set", "evaluator.fail_every=3", "--callback", own, "--run-dir", str(tmp_path / "run")]
    assert search.main(argv) == 0
    trials = load(tmp_path / "run").trials
    assert [name for name, _ in CALLS[:4]] == ["setup", "on_trial_start", "on_trial_result", CALLS[3][0]]
    assert CALLS[-1][0] == "on_experiment_end"
    results = [info for name, info in CALLS if name == "on_trial_result"]
    assert [info["result"].get("reward") for info in results] == [t.reward if t.ok else None for t in trials]
    ends = [name for name, _ in CALLS if name in ("on_trial_complete", "on_trial_error")]
    assert ends == ["on_trial_complete" if t.ok else "on_trial_error" for t in trials]
    assert len(set(ends)) == 2
    space = find_space("efficientnet")
    assert list(results[0]["trial"].config) == [decision.name for decision in space.decisions]


def test_tunes_own_logger_writes_below_the_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    own = ["--callback", "ray.tune.logger:TBXLoggerCallback", "--run-dir", str(tmp_path / "run")]
    assert search.main([*ARGV, *own]) == 0
    assert len({path.parent for path in (tmp_path / "run" / "tune").rglob("events.out.tfevents*")}) == 8


@pytest.mark.parametrize(
    ("name", "message"),
    [("wandbb", r"unknown callback 'wandbb' (did you mean 'wandb'?)"), ("json:JSONDecoder", "--callback json:JSONDec")],
)
def test_a_wrong_callback_is_one_line_and_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert search.main([*ARGV, "--callback", name, "--run-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


class Breaking:
    """A callback whose server is gone after the first trial."""

    def __init__(self) -> None:
        self.told = 0

    def setup(self, **info: object) -> None: ...

    def on_trial_start(self, **info: object) -> None: ...

    def on_trial_result(self, **info: object) -> None:
        self.told += 1
        if self.told == 2:
            raise ConnectionError("the server is gone")

    def on_trial_complete(self, **info: object) -> None: ...

    on_trial_error = on_trial_complete


def test_a_callback_that_fails_costs_the_search_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    argv = [*ARGV, "--engine", "local", "--callback", f"{__name__}:Breaking", "--run-dir", str(tmp_path / "run")]
    with caplog.at_level(logging.WARNING):
        assert search.main(argv) == 0
    told = [record.getMessage() for record in caplog.records if "--callback" in record.getMessage()]
    assert told == [f"--callback {__name__}:Breaking: the server is gone; it is told no more"]
    assert len(load(tmp_path / "run").finished) == 8
