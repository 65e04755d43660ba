from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas import config
from nas.history import History
from nas.journal import read
from nas.runs import directory as run_dir
from nas.runs.header import recorded_config
from search_space.errors import InputError

SETTINGS = config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator"}])


class Remembering:
    """As much of a study as there is to a description."""

    def __init__(self) -> None:
        self.history = History()
        self.trials: list[Any] = []

    def record(self, event: dict[str, Any]) -> None:
        self.history.add(event)


def test_a_new_run_has_its_config_and_header(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "new"
    run_dir.check_free(path)
    run_dir.open_journal(path, SETTINGS).close()
    (header,) = read(path / "journal.jsonl")
    assert header["event"] == "run"
    assert config.resolve([header["config"]]) == SETTINGS
    assert config.resolve([config.read(str(path / "config.yaml"))]) == SETTINGS
    assert config.resolve([recorded_config(path, "nas-search") or {}]) == SETTINGS


def test_opening_again_adds_no_second_header(tmp_path: Path) -> None:
    for _ in range(2):
        run_dir.open_journal(tmp_path / "run", SETTINGS).close()
    assert len(list(read(tmp_path / "run" / "journal.jsonl"))) == 1


def test_a_run_goes_on_with_as_many_images_as_it_began_with() -> None:
    said = {"data": "folder:a", "classes": 3, "train_images": 90, "validation_images": 9, "device": "cpu"}
    study = Remembering()
    for now in (said, said | {"device": "a GPU", "data": "folder:moved"}, {}):
        run_dir.record_description(study, SimpleNamespace(describe=lambda now=now: now))  # type: ignore[arg-type]
        assert study.history.described == said
    for changed in ({"train_images": 91}, {"validation_images": 10}, {"classes": 4}):
        engine = SimpleNamespace(describe=lambda changed=changed: said | changed)
        with pytest.raises(InputError, match=r"images have changed since the run began \(classes 3, train_images 90, "):
            run_dir.record_description(study, engine)  # type: ignore[arg-type]


def test_a_verdict_is_read_where_it_is_of_these_trials(tmp_path: Path) -> None:
    assert run_dir.read_verdict(tmp_path, 8) == ""
    report = tmp_path / run_dir.TRUST
    report.write_text(f"{run_dir.trust_title(8)}\nfigures\nThis is \x1b worth it.\n")
    assert run_dir.read_verdict(tmp_path, 8) == "This is \\x1b worth it."
    assert run_dir.read_verdict(tmp_path, 9) == ""  # the search went on
    for damaged in (b"", b"\xff\xfe", run_dir.trust_title(8).encode()):
        report.write_bytes(damaged)
        assert run_dir.read_verdict(tmp_path, 8) == ""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(f"{run_dir.trust_title(8)}\nnone of your business\n")
    report.unlink()
    report.symlink_to(elsewhere)
    assert run_dir.read_verdict(tmp_path, 8) == ""
