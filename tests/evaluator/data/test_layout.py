from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.data.layout import describe, find_layout, list_images
from search_space.errors import InputError


def make(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def names(root: Path) -> list[str]:
    layout = find_layout(root)
    return [str(path.relative_to(layout.train)) for _, path, _ in list_images(layout.train, layout.classes).files]


def notes(root: Path) -> str:
    layout = find_layout(root)
    return "\n".join(describe(layout, list_images(layout.train, layout.classes)))


@pytest.mark.parametrize("train", ["train", "Train", "training"])
@pytest.mark.parametrize("test", ["val", "valid", "validation", "Test", "testing"])
def test_training_and_test_folders_by_their_usual_names(train: str, test: str, tmp_path: Path) -> None:
    make(tmp_path, *(f"{part}/{name}/1.jpg" for part in (train, test) for name in ("cat", "dog")))
    layout = find_layout(tmp_path)
    assert (layout.train, layout.test) == (tmp_path / train, tmp_path / test)
    assert layout.classes == ("cat", "dog")


def test_the_test_folder_is_the_one_with_classes_and_the_other_is_named(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png", "test/1.png")
    assert find_layout(tmp_path).test == tmp_path / "val"
    make(tmp_path, "test/a/1.png", "test/b/1.png", "labels/a.txt")
    assert find_layout(tmp_path).test == tmp_path / "test"
    assert "Left out: folders labels, val" in notes(tmp_path)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    make(tmp_path, "car/1.jpg", "train/1.jpg", "train/steam/2.jpg", "test/1.jpg")
    layout = find_layout(tmp_path)
    assert (layout.train, layout.test, layout.classes) == (tmp_path, None, ("car", "test", "train"))
    assert names(tmp_path) == ["car/1.jpg", "test/1.jpg", "train/1.jpg", "train/steam/2.jpg"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["car/1.jpg", "train/steam/1.jpg", "train/diesel/1.jpg"], "train could be a class or the training images"),
        (["train/a/1.jpg", "training/a/1.jpg"], "both train and training could be the training images"),
        (["val/a/1.jpg", "test/a/1.jpg"], "has test and val, but no folder train beside it"),
        (
            ["train/1.jpg", "test/1.jpg"],
            "train: needs a folder of images for each of at least two classes, found none",
        ),
        (["train/a/1.jpg", "val/a/1.jpg"], "train: needs a folder .* found only 'a'"),
    ],
)
def test_what_could_be_two_layouts_or_is_none_is_refused(files: list[str], words: str, tmp_path: Path) -> None:
    make(tmp_path, *files)
    with pytest.raises(InputError, match=words):
        find_layout(tmp_path)


def test_folders_of_systems_hold_no_images_and_are_no_classes(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "dog/1.jpg", "@eaDir/1.jpg", "__MACOSX/cat/1.jpg", ".git/1.png")
    make(tmp_path, "cat/.thumbnails/1.jpg", "cat/@eaDir/1.jpg/SYNOPHOTO.jpg", "dog/deep/2.jpg", "dog/._2.jpg")
    assert names(tmp_path) == ["cat/1.jpg", "dog/1.jpg", "dog/deep/2.jpg"]
    assert "Left out: 3 hidden or of the system" in notes(tmp_path)


def test_what_is_read_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    make(
        tmp_path,
        *(f"cat/{i}.{suffix}" for i, suffix in enumerate(["JPG", "jfif", "avif", "tga", "heic", "heic", "txt"])),
    )
    make(tmp_path, "dog/1.png", "dog/README", "2.jpg", "labels.csv")
    (tmp_path / "dog" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    text = notes(tmp_path)
    assert f"{tmp_path}: 5 training images in a folder a class, no test images beside them" in text
    assert "Images of 2 classes: cat 4, dog 1" in text
    for part in ("2 .heic", "1 .txt", "1 without a suffix", "1 images outside", "1 .csv", "1 broken links"):
        assert part in text.splitlines()[-1]


def test_a_class_without_images_says_what_it_holds(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.heic", "cat/2.heic", "dog/1.png")
    with pytest.raises(InputError, match=r"cat: holds no image \(\.avif, .*\), only 2 \.heic"):
        list_images(tmp_path, ("cat", "dog"))


def test_many_classes_are_summed_up(tmp_path: Path) -> None:
    make(tmp_path, *(f"c{i:02d}/{j}.png" for i in range(30) for j in range(1 + i % 3)))
    assert "Images of 30 classes: from c00 1 to c02 3" in notes(tmp_path)


def test_test_classes_that_are_missing_are_said_before_any_training(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png")
    assert f"{tmp_path / 'val'} has no folder b: it cannot be tested on" in notes(tmp_path)


@pytest.mark.parametrize("test", ["val", "test"])
def test_test_images_beside_classes_are_not_a_class(test: str, tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "dog/1.jpg", f"{test}/cat/2.jpg", f"{test}/dog/2.jpg", f"{test}/emu/2.jpg")
    with pytest.raises(InputError, match=f"{test} holds folders of the classes beside it"):
        find_layout(tmp_path)
