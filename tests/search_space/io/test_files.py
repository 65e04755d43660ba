from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search_space.errors import InputError
from search_space.io.files import read_text, write_atomic

ROOT = Path(__file__).parents[3]


def test_writes_text_and_bytes_and_makes_the_folder(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b.txt", "größer")
    assert (tmp_path / "a" / "b.txt").read_text() == "größer"
    write_atomic(tmp_path / "a" / "b.txt", b"\x00\x01")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\x00\x01"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="file: cannot be written: No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_atomic(tmp_path / "file" / "below", "x")


def test_what_killed_processes_left_is_cleared_and_what_others_write_is_not(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from search_space.io import files
step, path = sys.argv[1], Path(sys.argv[2])
os.replace = lambda *_: (print("writing", flush=True), sys.stdin.read()) if step == "wait" else os._exit(1)
files.write_atomic(path, "from another process")
"""
    command = [sys.executable, "-c", code]
    path = tmp_path / "run[1].yaml"
    subprocess.run([*command, "die", str(path)], cwd=ROOT)
    assert len(os.listdir(tmp_path)) == 1
    with subprocess.Popen(
        [*command, "wait", str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"writing\n"
        write_atomic(path, "mine")
        assert len(os.listdir(tmp_path)) == 2, "the dead one's is gone, the living one's is not"
    assert path.read_text() == "mine"


def test_text_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("größer")
    assert read_text(path) == read_text(path, 8) == "größer"
    with pytest.raises(InputError, match="text: more than 7 bytes"):
        read_text(path, 7)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="text: cannot be read as text"):
        read_text(path)
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        read_text(tmp_path / ("x" * 300))
