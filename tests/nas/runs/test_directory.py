from __future__ import annotations

from pathlib import Path

import pytest

from nas import config
from nas.journal import read
from nas.runs import directory as run_dir
from search_space.errors import InputError

SETTINGS = config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator"}])


def test_a_new_run_has_its_config_and_header(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "new"
    run_dir.check_free(path)
    run_dir.open_journal(path, SETTINGS).close()
    (header,) = read(path / "journal.jsonl")
    assert header["event"] == "run"
    assert config.resolve([header["config"]]) == SETTINGS
    assert config.resolve([config.read(str(path / "config.yaml"))]) == SETTINGS
    assert config.resolve([run_dir.recorded_config(path) or {}]) == SETTINGS


def test_opening_again_adds_no_second_header(tmp_path: Path) -> None:
    for _ in range(2):
        run_dir.open_journal(tmp_path / "run", SETTINGS).close()
    assert len(list(read(tmp_path / "run" / "journal.jsonl"))) == 1


def test_a_run_killed_before_its_header_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "journal.jsonl").write_bytes(b'{"event":"ru')
    assert run_dir.recorded_config(tmp_path / "empty") is None
    assert run_dir.recorded_config(tmp_path) is None
    run_dir.open_journal(tmp_path, SETTINGS).close()
    assert len(list(read(tmp_path / "journal.jsonl"))) == 1


def test_what_is_not_a_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such directory"):
        run_dir.recorded_config(tmp_path / "none")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match=r"not a run, it has files but no journal\.jsonl"):
        run_dir.recorded_config(tmp_path)
    with pytest.raises(InputError, match="exists already; add --resume"):
        run_dir.check_free(tmp_path)


def test_a_journal_without_a_header_is_refused(tmp_path: Path) -> None:
    with run_dir.Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"event": "updated"})
    with pytest.raises(InputError, match="line 1: not the header of a run"):
        run_dir.recorded_config(tmp_path)
