"""Files: read as text up to a size, written whole or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from search_space.errors import InputError

_UNFINISHED = ".tmp"


def read_text(path: Path, most: int | None = None) -> str:
    """The text of a file in UTF-8.

    Args:
        path: Which.
        most: Bytes that it may have; None for any number.

    Raises:
        InputError: Not there, not text, or larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(-1 if most is None else most + 1)
        if most is not None and len(content) > most:
            raise InputError(f"{path}: more than {most:,} bytes, the most that is read")
        return content.decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        InputError: It cannot be made, or is something else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that no reader and no crash ever sees a part of it.

    Args:
        path: Where; its folder is made if missing.
        content: Text (written as UTF-8) or bytes.

    Raises:
        InputError: The folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    make_folder(path.parent)
    try:
        _clear(path)
        handle, temporary = _temporary(path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def lock(handle: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed or this process dies.

    Args:
        handle: Its descriptor.
        wait: Until another process lets it go.

    Returns:
        Whether it is locked: not where another process has it, or system or file system know no such locks.
    """
    try:
        import fcntl  # not on Windows
    except ImportError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _temporary(path: Path) -> tuple[int, str]:
    """A new file beside `path`, locked for as long as this process has it open: see `_clear`."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED)
        lock(handle, wait=True)  # where there are no locks, nothing is cleared either
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # another process took it for a dead one's, between its making and its lock


def _clear(path: Path) -> None:
    """Delete what processes that were killed while they wrote `path` have left: locks die with their processes."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        with suppress(OSError), left.open("rb") as file:
            if lock(file.fileno()):
                left.unlink()
