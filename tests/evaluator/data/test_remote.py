from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from evaluator.data.dataset import load_dataset
from evaluator.data.remote import is_url, local_copy
from search_space.errors import InputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, shade in (("cats", 20), ("dogs", 200)):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (shade, number, 0)).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def memory() -> Iterator[None]:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe({"/photos/cats/1.png": b"cat", "/photos/dogs/deep/2.png": b"dog"})
    yield
    files.rm("/photos", recursive=True)


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/photos")
    assert not is_url("/data/photos")


@pytest.mark.usefixtures("memory")
def test_a_folder_is_copied_once_with_all_below_it(tmp_path: Path) -> None:
    copy = local_copy("memory://photos", tmp_path)
    assert (copy / "cats" / "1.png").read_bytes() == b"cat"
    assert (copy / "dogs" / "deep" / "2.png").read_bytes() == b"dog"
    (copy / "cats" / "1.png").write_bytes(b"mine")
    assert local_copy("memory://photos/", tmp_path) == copy
    assert (copy / "cats" / "1.png").read_bytes() == b"mine"


@pytest.mark.usefixtures("memory")
def test_a_broken_copy_is_made_again(tmp_path: Path) -> None:
    name = local_copy("memory://photos", tmp_path / "other").name
    partial = tmp_path / "remote" / f"{name}.partial"
    partial.mkdir(parents=True)
    (partial / "junk").touch()
    copy = local_copy("memory://photos", tmp_path)
    assert not partial.exists()
    assert sorted(p.name for p in copy.iterdir()) == ["cats", "dogs"]


def test_workers_of_one_machine_share_a_copy(photos: Path, tmp_path: Path) -> None:
    copies: list[Path] = []
    threads = [threading.Thread(target=lambda: copies.append(local_copy(f"file://{photos}", tmp_path))) for _ in "1234"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(copies) == 4
    assert len(set(copies)) == 1


def test_images_at_a_url_are_a_data_set(photos: Path, tmp_path: Path) -> None:
    here = load_dataset(f"folder:{photos}", 8, tmp_path / "cache")
    there = load_dataset(f"folder:file://{photos}", 8, tmp_path / "cache")
    assert there.classes == ("cats", "dogs")
    assert there.train.images.equal(here.train.images)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nowhere", "memory://nowhere: no such folder"),
        ("nosuch://bucket", "nosuch://bucket: cannot be read: Protocol not known: nosuch"),
        ("file:///nowhere/at/all", "file:///nowhere/at/all: no such folder"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        local_copy(url, tmp_path)
    with pytest.raises(InputError, match=message):
        load_dataset(f"folder:{url}", 8, tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "cats").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no files"):
        local_copy(f"file://{tmp_path / 'empty'}", tmp_path / "cache")
