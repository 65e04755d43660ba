from __future__ import annotations

from pathlib import Path

import pytest

from nas import config
from nas.config import SearchConfig
from nas.journal import read
from nas.runs import directory as run_dir
from nas.runs.header import (
    check_inherited,
    check_trusted,
    code_in,
    differences,
    folders_in,
    from_header,
    recorded_config,
    trust_flag,
)
from search_space.errors import InputError

KEPT = Path(__file__).parent / "journals"
SETTINGS = config.resolve([{"target_flops": "400M", "evaluator": "tests.toys:ToyEvaluator"}])


def test_a_run_killed_before_its_header_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "journal.jsonl").write_bytes(b'{"event":"ru')
    assert recorded_config(tmp_path / "empty", "nas-search") is None
    assert recorded_config(tmp_path, "nas-search") is None
    for path in (tmp_path / "empty", tmp_path):
        run_dir.check_free(path)
    run_dir.open_journal(tmp_path, SETTINGS).close()
    assert len(list(read(tmp_path / "journal.jsonl"))) == 1


def test_what_is_not_a_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such directory"):
        recorded_config(tmp_path / "none", "nas-search")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match=r"not a run, it has files but no journal\.jsonl"):
        recorded_config(tmp_path, "nas-search")
    with pytest.raises(InputError, match="exists already; add --resume"):
        run_dir.check_free(tmp_path)


def test_only_the_command_that_began_a_run_goes_on_with_it(tmp_path: Path) -> None:
    run_dir.open_journal(tmp_path / "run", SETTINGS).close()
    assert recorded_config(tmp_path / "run", "nas-search") == config.to_plain(SETTINGS)
    with pytest.raises(InputError, match="was begun by nas-search, and nas-grid cannot go on with it"):
        recorded_config(tmp_path / "run", "nas-grid")
    with pytest.raises(InputError, match="was begun by nas-grid, and nas-search cannot go on with it"):
        recorded_config(KEPT / "grid", "nas-search")


def test_a_journal_without_a_header_is_refused(tmp_path: Path) -> None:
    with run_dir.Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"event": "updated"})
    with pytest.raises(InputError, match="line 1: not the header of a run"):
        recorded_config(tmp_path, "nas-search")


def test_a_config_is_read_without_importing_what_it_names() -> None:
    plain = config.to_plain(SETTINGS)
    plain["evaluator"] = {"name": "evil:Evaluator", "preset": "default", "data": "evil:data", "anything": [1]}
    plain |= {"space": "evil.space:SPACE", "screen": None, "screen_ratio": 5, "feature": None}
    read = from_header(plain, SearchConfig)
    assert (read.space, read.evaluator.name) == ("evil.space:SPACE", "evil:Evaluator")
    assert read.evaluator.settings == {"data": "evil:data", "anything": [1]}
    assert code_in(plain) == ["evil.space:SPACE", "evil:Evaluator", "evil:data"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"screen": "params"}, "config.screen: 'params' was a setting of an earlier version"),
        ({"trials": "many"}, "config: trials: expected a whole number, got 'many'"),
        ({"evaluator": 3}, "missing key 'name'|expected text"),
        ({"objective": {"kind": "fine"}}, "kind"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_a_header_of_something_else_is_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_header({**config.to_plain(SETTINGS), **changes}, SearchConfig)


def test_names_of_ours_and_files_are_no_code() -> None:
    plain = {"evaluator": {"name": "table:scores", "data": "folder:photos"}, "space": "spaces/own.yaml", "n": 3}
    assert code_in(plain) == []
    assert code_in({"a": [{"b": "json:loads"}]}) == ["json:loads"]


@pytest.mark.parametrize(
    "plain",
    [
        {"space": "table:Space"},
        {"evaluator": {"name": "guided:Evaluator"}},
        {"evaluator": "digits:load"},
        {"controller": {"name": "proxy:Controller"}},
        {"evaluator": {"name": "proxy", "data": "random:load"}},
    ],
)
def test_a_name_of_ours_in_another_place_is_somebodys_module(plain: dict[str, object]) -> None:
    assert len(code_in(plain)) == 1


@pytest.mark.parametrize(("name", "folder"), [("keep", "/home/somebody"), ("cache_dir", "../elsewhere"), ("keep", 3)])
def test_a_folder_to_write_to_that_only_the_journal_names_is_refused(name: str, folder: object, tmp_path: Path) -> None:
    recorded = {"target_flops": "400M", "evaluator": {"name": "proxy", name: folder}}
    assert trust_flag(recorded) == " --trust-code"
    with pytest.raises(
        InputError, match=f"folders that this may write to: {folder}; if you trust it, add --trust-code"
    ):
        check_trusted(tmp_path, recorded, [], trusted=False)
    check_trusted(tmp_path, recorded, [], trusted=True)
    check_trusted(tmp_path, recorded, [{"evaluator": {name: folder}}], trusted=False)


def test_the_usual_folders_and_none_are_no_question(tmp_path: Path) -> None:
    recorded = config.to_plain(config.resolve([{"target_flops": "400M"}]))
    assert recorded["evaluator"].keys() >= {"keep", "cache_dir"}
    check_trusted(tmp_path, recorded, [], trusted=False)
    assert trust_flag(recorded) == ""
    assert folders_in({"evaluator": "proxy"}) == folders_in(None) == []


def test_differences_name_the_dotted_fields_and_ignore_what_only_adds() -> None:
    a = config.resolve([{"target_flops": "400M"}])
    free = {"trials": 99, "top": 9, "time": "1h", "final": 2, "final_seeds": 9}
    more = {**free, "seed": 1, "evaluator": {"epochs": 77}}
    b = config.resolve([{"target_flops": "400M"}, more])
    assert [line.split()[0] for line in differences(a, b)] == ["evaluator.epochs", "seed"]
    assert differences(a, a) == []


def test_a_run_goes_on_with_the_weights_that_it_began_with(tmp_path: Path) -> None:
    begun = {"inherit": {"classes": 5, "digest": "a"}}
    check_inherited(tmp_path, begun, {**begun, "device": "another"})
    for now in ({"inherit": {"classes": 5, "digest": "b"}}, {}):
        with pytest.raises(InputError, match=f"--resume: {tmp_path}: the checkpoint that its networks begin with"):
            check_inherited(tmp_path, begun, now)
