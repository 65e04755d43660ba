from __future__ import annotations

import asyncio
import errno
import json
import multiprocessing
import os
import resource
import signal
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.journal import Journal, is_locked, read, seal, uninterrupted
from search_space.errors import InputError, NasError

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


@given(
    st.lists(
        st.dictionaries(st.text(min_size=1).filter(lambda k: k not in ("crc", "line")), JSON, min_size=1), max_size=3
    )
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    path.write_bytes(b"".join(seal(event, number) for number, event in enumerate(events, 1)))
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


def test_a_damaged_journal_is_not_opened_and_stays_as_it_is(path: Path) -> None:
    damaged = path.read_bytes().replace(b'"n":0', b'"n":7')[:-3]
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="line 1: damaged"):
        Journal(path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("order", "line"), [((0, 0, 1, 2), 2), ((0, 2), 2), ((1, 0, 2), 1), ((0, 2, 1), 2), ((1, 2), 1), ((0, 1, 1), 3)]
)
def test_whole_lines_out_of_place_are_named(path: Path, order: tuple[int, ...], line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(InputError, match=rf"line {line}: out of place, it is line \d of its run"):
        list(read(path))


def test_lines_without_numbers_are_read_and_followed(path: Path) -> None:
    lines = []
    for event in EVENTS:
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        lines.append(body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body))
    path.write_bytes(b"".join(lines))
    with Journal(path) as journal:
        journal.append({"event": "more"})
    assert list(read(path)) == [*EVENTS, {"event": "more"}]
    assert b'"line":4' in path.read_bytes()


def test_a_link_is_not_written_through(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    for name in ("linked.jsonl", ".plain.jsonl.lock"):
        (tmp_path / name).symlink_to(outside)
    with pytest.raises(InputError, match=r"linked\.jsonl: is a link"):
        Journal(tmp_path / "linked.jsonl")
    with pytest.raises(InputError, match=r"plain\.jsonl: cannot be written"):
        Journal(tmp_path / "plain.jsonl")
    assert outside.read_text() == "precious"


def test_a_journal_that_is_deleted_or_replaced_stops_its_run(path: Path) -> None:
    copy = path.read_bytes()
    with Journal(path) as journal:
        path.unlink()
        with pytest.raises(NasError, match="was deleted or replaced"):
            journal.append({"event": "lost"})
        path.write_bytes(copy)
        with pytest.raises(NasError, match="was deleted or replaced"):
            journal.append({"event": "lost"})


def test_a_full_disk_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(path) as journal:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(NasError, match=r"journal\.jsonl: cannot be written: No space left on device"):
            journal.append({"event": "more"})


@pytest.mark.parametrize("body", [b"[1]", b"3", b'{"event":' + b"[" * 100_000 + b"]" * 100_000 + b"}"])
def test_json_that_is_no_event_is_damage(path: Path, body: bytes) -> None:
    path.write_bytes(body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body[:-1] + b"}"))
    with pytest.raises(InputError, match="line 1: damaged"):
        list(read(path))


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


def test_what_json_cannot_say_is_refused_in_one_line(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(InputError, match="'updated' cannot be recorded: Object of type set"):
        journal.append({"event": "updated", "signals": {"seen": {1}}})
    assert list(read(path)) == EVENTS


def test_a_line_for_which_there_was_no_room_leaves_the_file_as_it_was(path: Path) -> None:
    """A limit on the size of files stands in for a full disk: it, too, cuts a write short."""
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        try:
            with pytest.raises(NasError, match="cannot be written: File too large; what stands in it is safe"):
                journal.append({"event": "updated", "signals": "x" * 1000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == size
        journal.append({"event": "later"})
    assert list(read(path)) == [*EVENTS, {"event": "later"}]


def test_whether_a_process_writes_is_known_from_the_lock(path: Path, tmp_path: Path) -> None:
    assert not is_locked(path)
    assert not is_locked(tmp_path / "none.jsonl")
    with Journal(path):
        assert is_locked(path)
    lock = path.with_name(f".{path.name}.lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(tmp_path / "elsewhere")
    assert not is_locked(path)
    assert not (tmp_path / "elsewhere").exists()


def test_an_event_loop_hears_of_one_ctrl_c_once() -> None:
    heard = []

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: heard.append(1))
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert heard == [1]


def test_any_thread_may_let_others_write(path: Path) -> None:
    journal = Journal(path)
    closing = threading.Thread(target=journal.close)
    closing.start()
    closing.join()
    Journal(path).close()
    with pytest.raises(NasError, match="the run was closed; open it again to go on"):
        journal.append({"event": "a"})
