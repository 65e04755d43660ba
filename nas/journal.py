"""The journal: an append-only record of a run, one JSON line an event, and the only memory a run has.

Every line holds its number and ends with a checksum of itself, and counts only when it is on disk (flushed and
fsynced). A last line that was cut off by a crash is dropped; damage anywhere else, and lines that are missing, repeated
or out of order, are an error that names the line. An exclusive lock, which dies with its process, refuses a second
writer.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from filelock import FileLock, Timeout

from search_space.errors import InputError, NasError

Event = dict[str, Any]
_SEAL = len(',"crc":"00000000"}')
_LOCK_SECS = 0.5  # a reader that asks whether a run goes on holds the lock for a moment


class Journal:
    """One run's journal, open for appending.

    Use as a context manager, or call `close`. Reading does not need a lock: see `read`.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the journal and lock it.

        Args:
            path: The file; its folder exists.

        Raises:
            InputError: Another process writes to it, it is a link, it cannot be written, or it is damaged before its
                last line.
        """
        self.path = path
        self._appending = threading.Lock()  # a run's clock writes from a thread of its own
        refuse_link(path)
        self._lock = FileLock(_lock_file(path), thread_local=False)  # whichever thread closes it lets it go
        try:
            self._lock.acquire(timeout=_LOCK_SECS, poll_interval=0.05)
        except Timeout:
            raise InputError(f"{path}: another process is writing to this run") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            self._whole, self._lines = _verify(path) if path.exists() else (0, 0)
            self._file = open(path, "ab", buffering=0)
            self._file.truncate(self._whole)  # what follows is a line that a crash cut off
        except OSError as error:
            self._lock.release()
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        except BaseException:
            self._lock.release()
            raise

    def append(self, event: Event) -> None:
        """Add one event; it is on disk when this returns.

        Raises:
            InputError: It holds what JSON cannot say, e.g. not a number, or a user's own object.
            NasError: The disk is full, or the file was deleted or replaced while this was open.
        """
        with self._appending:
            if self._file.closed:
                raise NasError(f"{self.path}: the run was closed; open it again to go on")
            self._append(event)

    def _append(self, event: Event) -> None:
        try:
            line = seal(event, self._lines + 1)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"{self.path}: {event.get('event')!r} cannot be recorded: {error}") from None
        try:
            if os.fstat(self._file.fileno()).st_ino != self.path.stat().st_ino:
                raise FileNotFoundError
            self._write(line)
        except (FileNotFoundError, NotADirectoryError):
            raise NasError(f"{self.path}: was deleted or replaced while the run was writing to it") from None
        except OSError as error:
            raise NasError(f"{self.path}: cannot be written: {error.strerror}; what stands in it is safe") from None
        self._lines += 1
        self._whole += len(line)

    def _write(self, line: bytes) -> None:
        """Put a line on disk, or leave the file as it was."""
        try:
            left = memoryview(line)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._whole)
            raise

    def events(self) -> Iterator[Event]:
        """All events so far, in order."""
        return read(self.path)

    def close(self) -> None:
        """Release the lock."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def seal(event: Event, number: int) -> bytes:
    """One event as its line: JSON with the line's number, and a CRC-32 of itself as the last field."""
    body = json.dumps(event | {"line": number}, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def read(path: Path) -> Iterator[Event]:
    """All events of a journal, in order, whether or not a run is writing to it.

    Raises:
        InputError: Not there, or a line other than a cut-off last one is damaged or out of place.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            return
        event = _open_line(line[:-1], f"{path}, line {number}")
        found = event.pop("line", number)  # journals of version 0.1 have no numbers
        if found != number:
            raise InputError(
                f"{path}, line {number}: out of place, it is line {found} of its run: lines are missing, repeated or "
                "swapped; restore the file from a copy"
            )
        yield event


def is_locked(path: Path) -> bool:
    """Whether a process writes to the journal."""
    lock = _lock_file(path)
    if not lock.is_file() or lock.is_symlink():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written is not being written
        return False


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of what has to be done whole: an event that stands in the file has to count."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    held: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held and callable(before):  # not raised again: an event loop was woken by the first
            before(signal.SIGINT, held[0])
        elif held:
            signal.raise_signal(signal.SIGINT)


def refuse_link(path: Path) -> None:
    """Write to no file that lies elsewhere.

    Raises:
        InputError: The path is a symbolic link.
    """
    if path.is_symlink():
        raise InputError(f"{path}: is a link; a run's files are written only where they stand")


def check_whole(value: object) -> int:
    """An event's value that must be a whole number from 0.

    Raises:
        InputError: It is not.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise InputError(f"expected a whole number from 0, got {str(value)[:40]!r}")
    return value


def check_number(value: object) -> float:
    """An event's value that must be a finite number.

    Raises:
        InputError: It is not.
    """
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
        raise InputError(f"expected a number, got {str(value)[:40]!r}")
    return value  # type: ignore[return-value]


def check_text(value: object) -> str:
    """An event's value that must be text.

    Raises:
        InputError: It is not.
    """
    if type(value) is not str:
        raise InputError(f"expected text, got {str(value)[:40]!r}")
    return value


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _verify(path: Path) -> tuple[int, int]:
    """Bytes and number of the whole lines of a journal, once all of them are found in order."""
    count = sum(1 for _ in read(path))
    return sum(len(line) for line in _lines(path) if line.endswith(b"\n")), count


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield from file
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _open_line(line: bytes, where: str) -> Event:
    body = line[:-_SEAL] + b"}"
    if line[-_SEAL:] != b',"crc":"%08x"}' % zlib.crc32(body):
        raise InputError(f"{where}: damaged (its checksum does not match); restore the file from a copy")
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: damaged: {error}") from None
    if not isinstance(event, dict):
        raise InputError(f"{where}: damaged: not an event")
    return event
