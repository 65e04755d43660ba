"""A folder at a URL, copied once to each machine.

Any storage that fsspec knows: s3://, gs:// and the like, each with the package fsspec asks for. Workers of one machine
share the copy: the first one makes it while the others wait.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from filelock import FileLock

from search_space.errors import InputError


def is_url(path: str) -> bool:
    """Whether this names a place other than this machine's file system."""
    return "://" in path


def local_copy(url: str, cache_dir: Path) -> Path:
    """The folder's copy on this machine, made now if there is none; a later change at the URL is not seen.

    Args:
        url: A folder, e.g. ``s3://bucket/photos``.
        cache_dir: Where copies are kept.

    Raises:
        InputError: The URL cannot be read, or holds no files.
    """
    target = cache_dir / "remote" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _download(url, partial)
            partial.rename(target)
    return target


def _download(url: str, target: Path) -> None:
    from fsspec.core import url_to_fs  # comes with torch; its storage packages are heavy

    try:
        files, path = url_to_fs(url)
        if not files.isdir(path):
            raise InputError(f"{url}: no such folder")
        files.get(path.rstrip("/") + "/", f"{target}/", recursive=True)
    except (OSError, ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = (str(error) or type(error).__name__).splitlines()[0].strip("'")
        raise InputError(f"{url}: cannot be read: {why}") from None
    if not any(path.is_file() for path in target.rglob("*")):
        raise InputError(f"{url}: holds no files")
