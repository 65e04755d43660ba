from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.journal import Journal, read, seal
from search_space.errors import InputError

EVENTS = [{"event": "run", "n": 0}, {"event": "finished", "n": 1, "name": "Zürich\n</script>"}, {"event": "updated"}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for event in EVENTS:
            journal.append(event)
    return path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(min_size=1).filter(lambda k: k != "crc"), JSON, min_size=1), max_size=3))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    path.write_bytes(b"".join(seal(event) for event in events))
    assert [{k: v for k, v in event.items() if k != "crc"} for event in read(path)] == events


def test_one_line_an_event(path: Path) -> None:
    assert path.read_bytes().count(b"\n") == len(EVENTS)
    assert list(read(path)) == EVENTS


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_dropped_and_the_next_append_follows_the_last_whole_line(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read(path)) == EVENTS[:-1]
    with Journal(path) as journal:
        journal.append(EVENTS[2])
    assert list(read(path)) == EVENTS


def test_every_flipped_byte_before_the_last_line_is_an_error_that_names_the_line(path: Path) -> None:
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for position in range(len(lines[0]) + len(lines[1])):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        line = 1 if position < len(lines[0]) else 2
        with pytest.raises(InputError, match=rf"journal.jsonl, line {line}: damaged"):
            list(read(path))


def test_opening_a_damaged_journal_changes_nothing(path: Path) -> None:
    damaged = path.read_bytes().replace(b'"n":0', b'"n":7')
    path.write_bytes(damaged)
    with Journal(path) as journal, pytest.raises(InputError, match="line 1: damaged"):
        list(journal.events())
    assert path.read_bytes() == damaged


def test_a_second_writer_is_refused_and_a_reader_is_not(path: Path) -> None:
    with Journal(path):
        with pytest.raises(InputError, match="another process is writing"):
            Journal(path)
        assert list(read(path)) == EVENTS
    Journal(path).close()


def _hold(path: Path, ready: object, done: object) -> None:
    with Journal(path):
        ready.set()  # type: ignore[attr-defined]
        done.wait()  # type: ignore[attr-defined]


def test_the_lock_holds_between_processes_and_dies_with_its_process(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(path, ready, done))
    process.start()
    assert ready.wait(30)
    with pytest.raises(InputError, match="another process"):
        Journal(path)
    process.kill()
    process.join()
    Journal(path).close()


def test_a_missing_journal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.jsonl: cannot be read: No such file"):
        list(read(tmp_path / "nothing.jsonl"))


def test_not_a_number_is_refused_before_it_is_written(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(ValueError, match="Out of range float"):
        journal.append({"event": "finished", "reward": float("nan")})
    assert list(read(path)) == EVENTS
