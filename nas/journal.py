"""The journal: an append-only record of a run, one JSON line an event, and the only memory a run has.

Every line ends with a checksum of itself and counts only when it is on disk (flushed and fsynced). A last line
that was cut off by a crash is dropped; damage anywhere else is an error that names the line. An exclusive lock,
which dies with its process, refuses a second writer.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from search_space.errors import InputError

Event = dict[str, Any]
_SEAL = len(',"crc":"00000000"}')


class Journal:
    """One run's journal, open for appending.

    Use as a context manager, or call `close`. Reading does not need a lock: see `read`.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the journal and lock it.

        Args:
            path: The file; its folder exists.

        Raises:
            InputError: Another process writes to it, or it is damaged before its last line.
        """
        self.path = path
        self._file = open(path, "ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise InputError(f"{path}: another process is writing to this run") from None
        try:
            self._drop_torn_line()
        except BaseException:
            self.close()
            raise

    def append(self, event: Event) -> None:
        """Add one event; it is on disk when this returns."""
        self._file.write(seal(event))
        self._file.flush()
        os.fsync(self._file.fileno())

    def events(self) -> Iterator[Event]:
        """All events so far, in order."""
        return read(self.path)

    def close(self) -> None:
        """Release the lock."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _drop_torn_line(self) -> None:
        whole = 0
        for line in _lines(self.path):
            if line.endswith(b"\n"):
                whole += len(line)
        if whole < self.path.stat().st_size:
            self._file.truncate(whole)


def seal(event: Event) -> bytes:
    """One event as its line: JSON with a CRC-32 of itself as the last field."""
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def read(path: Path) -> Iterator[Event]:
    """All events of a journal, in order, whether or not a run is writing to it.

    Raises:
        InputError: Not there, or a line other than a cut-off last one is damaged.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            return
        yield _open_line(line[:-1], f"{path}, line {number}")


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
        event: Event = json.loads(body)
    except ValueError as error:
        raise InputError(f"{where}: damaged: {error}") from None
    return event
