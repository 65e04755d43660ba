from pathlib import Path

import pytest

from nas.journal import Journal, seal
from nas.report.facts import state_text
from nas.runs.record import load
from search_space.errors import InputError
from tests.runs import make_run


def test_a_record_holds_what_the_study_holds(tmp_path: Path) -> None:
    study = make_run(tmp_path / "run", trials=24, evaluator={"fail_every": 3})
    record = load(tmp_path / "run")
    assert record.trials == study.trials
    assert record.signals == study.signals
    assert record.references == study.references
    assert record.best_trial == study.best
    assert record.objective == study.objective
    assert record.space is not None
    assert record.space.decisions == study.space.decisions
    assert (record.name, record.state, record.notices) == ("run", "finished", [])


def test_a_run_without_success_has_no_best(tmp_path: Path) -> None:
    make_run(tmp_path, trials=5, evaluator={"fail_every": 1})
    assert load(tmp_path).best_trial is None


def test_a_run_whose_journal_is_held_is_running_and_then_stopped(tmp_path: Path) -> None:
    make_run(tmp_path, trials=24, stop_after=10, batch=8)
    with Journal(tmp_path / "journal.jsonl"):
        assert load(tmp_path).state == "running"
    record = load(tmp_path)
    assert record.state == "stopped"
    assert len(record.finished) == 10
    assert len(record.trials) == 16  # the batch that was begun


def test_damage_ends_the_reading_and_is_told(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"ok", b"ko")
    path.write_bytes(b"".join(lines))
    record = load(tmp_path)
    assert record.state == "damaged"
    assert len(record.finished) == 3
    assert "line 6: damaged" in record.notices[0]


@pytest.mark.parametrize(
    "event",
    [{"event": "finished", "trial": 99}, {"event": "proposed", "trials": [{}]}, {}, {"event": "run", "config": None}],
    ids=["unknown trial", "no tokens", "no kind", "no config"],
)
def test_events_of_something_else_are_damage(tmp_path: Path, event: dict[str, object]) -> None:
    (tmp_path / "journal.jsonl").write_bytes(seal(event, 1))
    record = load(tmp_path)
    assert record.state == "damaged"
    assert "line 1: not an event of a run" in record.notices[0]


def test_an_empty_journal_is_an_empty_run(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").touch()
    assert load(tmp_path).state == "empty"


def test_a_torn_last_line_is_no_damage(tmp_path: Path) -> None:
    make_run(tmp_path, trials=8)
    with open(tmp_path / "journal.jsonl", "ab") as file:
        file.write(b'{"event":"fini')
    assert load(tmp_path).state == "finished"


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run: there is no journal\.jsonl"):
        load(tmp_path)


def test_a_space_that_is_gone_leaves_the_rest(tmp_path: Path) -> None:
    space = tmp_path / "own.yaml"
    space.write_text((Path(__file__).parents[3] / "configs/spaces/efficientnet.yaml").read_text())
    make_run(tmp_path / "run", trials=8, space=str(space))
    space.unlink()
    record = load(tmp_path / "run")
    assert record.space is None
    assert len(record.finished) == 8
    assert "cannot be drawn" in record.notices[0]


def test_a_time_that_reaches_beyond_its_plan_is_over_when_it_says_so(tmp_path: Path) -> None:
    make_run(tmp_path, trials=6)
    run = load(tmp_path)
    assert run.state == "finished"
    run.history.plan = {"open": True}
    assert run.state == "stopped"
    assert state_text(run) == "stopped after 6 trials"
    run.history.ended = 6
    assert run.state == "finished"
