import errno
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from evaluator.data import folder as image_folder
from evaluator.data.dataset import load_dataset
from search_space.errors import InputError


def write_images(folder, classes=("cat", "dog"), count=3, size=(20, 12)):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.{('png', 'jpg')[number % 2]}")


def load(folder, cache, resolution=8, **kwargs):
    return load_dataset(f"folder:{folder}", resolution, cache, **kwargs)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos")
    return tmp_path / "photos"


def no_decoding(*args):
    raise AssertionError("an image was decoded again")


def test_classes_are_folders_in_alphabetical_order(photos, cache):
    dataset = load(photos, cache)
    assert dataset.classes == ("cat", "dog")
    assert dataset.train.images.shape == (6, 3, 8, 8)
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_an_image_is_scaled_to_cover_the_square_and_its_centre_cut_out(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 4:12] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    assert image_folder.decode(tmp_path / "image.png", 8)[:, 4, 4].tolist() == [10, 20, 30]
    assert image_folder.decode(tmp_path / "image.png", 8).reshape(3, -1).min(1).tolist() == [10, 20, 30]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_every_kind_of_image_becomes_three_channels(tmp_path, mode):
    suffix = "tif" if mode in ("CMYK", "I;16") else "png"
    Image.new(mode, (9, 9)).save(tmp_path / f"image.{suffix}")
    assert image_folder.decode(tmp_path / f"image.{suffix}", 8).shape == (3, 8, 8)


def test_the_second_time_nothing_is_decoded(photos, cache, monkeypatch):
    seen = []
    first = load(photos, cache, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)
    monkeypatch.setattr(image_folder, "decode", no_decoding)
    assert torch.equal(load(photos, cache).train.images, first.train.images)


def test_writing_to_the_images_leaves_the_cache_alone(photos, cache):
    first = load(photos, cache)
    before = first.train.images.clone()
    first.train.images.zero_()
    assert torch.equal(load(photos, cache).train.images, before)


def test_changed_images_another_resolution_and_another_folder_are_decoded(photos, cache, tmp_path, monkeypatch):
    before = load(photos, cache).train.images
    Image.new("RGB", (20, 12)).save(photos / "cat" / "0.png")
    after = load(photos, cache).train.images
    assert int(after[0].max()) == 0
    assert torch.equal(after[1:], before[1:])
    write_images(tmp_path / "more", classes=("bee", "fly"))
    assert load(tmp_path / "more", cache).classes == ("bee", "fly")
    monkeypatch.setattr(image_folder, "decode", no_decoding)
    with pytest.raises(AssertionError, match="decoded again"):
        load(photos, cache, resolution=16)
    os.utime(photos / "cat" / "0.png", ns=(0, 0))
    with pytest.raises(AssertionError, match="decoded again"):
        load(photos, cache)


def test_train_and_val_folders_and_no_test_image_is_read_before_asked_for(tmp_path, cache):
    write_images(tmp_path / "train")
    write_images(tmp_path / "val", count=1)
    (tmp_path / "val" / "cat" / "0.png").write_bytes(b"broken")
    dataset = load(tmp_path, cache)
    assert len(dataset.train) == 6
    with pytest.raises(InputError, match=r"val/cat/0\.png: broken image"):
        dataset.load_test()
    Image.new("RGB", (9, 9)).save(tmp_path / "val" / "cat" / "0.png")
    assert len(dataset.load_test()) == 2


def test_class_folders_alone_have_no_test_set(photos, cache):
    assert load(photos, cache).load_test is None


def test_other_files_and_hidden_ones_are_not_images(photos, cache):
    (photos / "cat" / "notes.txt").write_text("not an image")
    (photos / "cat" / "._0.jpg").write_bytes(b"not an image either")
    (photos / ".hidden").mkdir()
    assert len(load(photos, cache).train) == 6


def test_folders_without_two_classes_of_images_are_refused(tmp_path, cache):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: needs a folder of images for each .* classes, found none"):
        load(tmp_path / "empty", cache)
    write_images(tmp_path / "one", classes=("cat",))
    with pytest.raises(InputError, match="two classes, found only 'cat'"):
        load(tmp_path / "one", cache)
    write_images(tmp_path / "hollow")
    (tmp_path / "hollow" / "eel").mkdir()
    with pytest.raises(InputError, match=r"hollow/eel: holds no image \(\.avif, "):
        load(tmp_path / "hollow", cache)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"GIF89a", lambda data: data[: len(data) // 2]])
@pytest.mark.parametrize("name", ["0.png", "1.jpg"])
def test_a_broken_image_is_named_and_leaves_no_cache(photos, cache, name, damage):
    path = photos / "dog" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"dog/{name}: broken image: "):
        load(photos, cache)
    assert [entry.suffix for entry in (cache / "images").iterdir()] == [".lock"]


def test_all_broken_images_are_named_at_once(photos, cache, monkeypatch):
    broken = ("cat/1.jpg", "dog/0.png", "dog/2.png")
    for name in broken:
        (photos / name).write_bytes(b"broken")
    monkeypatch.setattr(image_folder, "MOST_NAMED", 10_000)
    with pytest.raises(
        InputError, match=r"cat/1\.jpg: broken .*; .*dog/0\.png: broken .*; .*dog/2\.png: broken"
    ) as error:
        load(photos, cache)
    assert "\n" not in str(error.value)
    monkeypatch.setattr(image_folder, "MOST_NAMED", 40)
    with pytest.raises(InputError, match=r"3 broken images, all named in .*\.broken\.txt: .*\.\.\."):
        load(photos, cache)
    (listed,) = (cache / "images").glob("*.broken.txt")
    assert [line.split(": ")[0] for line in listed.read_text().splitlines()] == [str(photos / name) for name in broken]


def test_what_was_recognised_goes_with_the_data(photos, cache):
    (photos / "cat" / "more.heic").touch()
    notes = load(photos, cache).notes
    assert notes[1:] == ("Images of 2 classes: cat 3, dog 3", "Left out: 1 .heic")


@pytest.mark.parametrize("suffix", ["jfif", "avif", "tga"])
def test_rarer_formats_are_decoded(tmp_path, suffix):
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    image.save(tmp_path / f"image.{suffix}", format="JPEG" if suffix == "jfif" else None)
    assert (
        np.abs(image_folder.decode(tmp_path / f"image.{suffix}", 8).astype(int).mean((1, 2)) - (200, 100, 50)).max() < 4
    )


def test_a_full_disk_is_said_before_anything_is_decoded(photos, cache, monkeypatch):
    monkeypatch.setattr(image_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    monkeypatch.setattr(image_folder, "decode", no_decoding)
    with pytest.raises(InputError, match="1,152 bytes are needed for decoded images, 100 are free"):
        load(photos, cache)


def test_a_cache_that_cannot_be_made_is_named(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/images: decoded images cannot be kept there: Not a directory"):
        load(photos, tmp_path / "file")


def test_what_a_killed_process_left_is_overwritten(photos, cache):
    before = load(photos, cache).train.images.clone()
    (finished,) = (cache / "images").glob("*.npy")
    finished.rename(finished.with_suffix(".part"))
    finished.with_suffix(".part").write_bytes(b"half an image")
    assert torch.equal(load(photos, cache).train.images, before)
    assert not finished.with_suffix(".part").exists()


def test_a_process_waits_for_another_ones_cache_instead_of_decoding_as_well(photos, cache, monkeypatch):
    before = load(photos, cache).train.images.clone()
    (finished,) = (cache / "images").glob("*.npy")
    monkeypatch.setattr(image_folder, "decode", no_decoding)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(finished.with_suffix(".lock")):
            unfinished = finished.rename(finished.with_suffix(".other"))
            second = pool.submit(load, photos, cache)
            with pytest.raises(TimeoutError):
                second.result(timeout=0.3)
            unfinished.rename(finished)
        loaded = second.result(timeout=600)
    assert torch.equal(loaded.train.images, before)


def test_cores_are_counted_where_a_system_tells_no_affinity(photos, cache, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert len(load(photos, cache).train) == 6


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-100], lambda data: b"x" + data[1:]])
def test_a_damaged_cache_is_made_again(photos, cache, damage):
    before = load(photos, cache).train.images.clone()
    (kept,) = (cache / "images").glob("*.npy")
    kept.write_bytes(damage(kept.read_bytes()))
    assert torch.equal(load(photos, cache).train.images, before)


def test_a_cache_of_another_shape_is_made_again(photos, cache):
    before = load(photos, cache).train.images.clone()
    (kept,) = (cache / "images").glob("*.npy")
    np.save(kept, np.zeros((1, 3, 8, 8), np.uint8))
    assert torch.equal(load(photos, cache).train.images, before)


def test_a_disk_that_fills_up_is_said_before_anything_is_decoded(photos, cache, monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(image_folder, "decode", no_decoding)
    monkeypatch.setattr(image_folder.os, "posix_fallocate", full)
    with pytest.raises(InputError, match="images: no room for decoded images: No space left on device"):
        load(photos, cache)
    assert not list((cache / "images").glob("*.part"))


def test_the_room_is_taken_before_anything_is_decoded(photos, cache, monkeypatch):
    decode, taken = image_folder.decode, []

    def look(path, resolution):
        (unfinished,) = (cache / "images").glob("*.part")
        taken.append(512 * unfinished.stat().st_blocks >= unfinished.stat().st_size)
        return decode(path, resolution)

    monkeypatch.setattr(image_folder, "decode", look)
    load(photos, cache)
    assert taken == [True] * 6


def test_only_image_formats_are_opened(photos, cache):
    (photos / "cat" / "0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    with pytest.raises(InputError, match=r"cat/0\.png: broken image: cannot identify"):
        load(photos, cache)


def test_an_image_that_unpacks_to_too_much_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "MOST_PIXELS", 80)
    Image.new("RGB", (9, 9)).save(tmp_path / "new.png")
    with pytest.raises(InputError, match=r"broken image: 9 x 9 pixels, at most 80 are decoded"):
        image_folder.decode(tmp_path / "new.png", 8)


def test_progress_of_decoding_is_logged_now_and_then(caplog):
    caplog.set_level("INFO")
    report = image_folder.log_progress(every_secs=0.0)
    report(5, 10)
    assert caplog.messages == ["decoded 5 of 10 images"]
    image_folder.log_progress(every_secs=60.0)(5, 10)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("error", [RuntimeError, TypeError])
def test_whatever_a_decoder_raises_names_the_image(photos, cache, monkeypatch, error):
    """Pillow's AVIF raises RuntimeError where the payload is damaged, its TIFF TypeError where a tag is."""

    def broken(image):
        raise error("Failed to decode frame 0: Decoding of color planes failed")

    monkeypatch.setattr(image_folder, "as_rgb", broken)
    with pytest.raises(InputError, match=r"cat/0.png: broken image: Failed to decode"):
        load(photos, cache)
