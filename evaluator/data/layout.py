"""How a folder of images is laid out, and which files of it are images.

Layouts: one folder a class; or a folder of training images beside one of test images (``train`` and ``test`` or
``val``, by whatever usual name), each with one folder a class. What could be read both ways is refused, and what is
left out is counted: nothing is dropped without a word.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_space.errors import InputError, one_line

TRAINING = ("train", "training")
TESTING = ("test", "testing", "val", "valid", "validation")  # the first that is there
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .avif .bmp .gif .tif .tiff .tga .pbm .pgm .ppm .pnm".split(),
)
_SYSTEM = frozenset(("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "Thumbs.db", "desktop.ini"))
_HIDDEN = "hidden or of the system"
_MOST_LISTED = 20  # classes whose numbers are given one by one


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a data set's images are."""

    train: Path
    """Holds one folder a class."""
    test: Path | None
    """Likewise, of the test images; None where there are none."""
    classes: tuple[str, ...]
    """Names of the classes, in alphabetical order."""
    unused: tuple[str, ...]
    """Folders beside these two."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a folder of classes."""

    files: list[tuple[int, Path, list[object]]]
    """Class number, path, and what changes with the file; by class and path."""
    left_out: Counter[str]
    """Number of other files, by what they are."""


def find_layout(root: Path) -> Layout:
    """Recognise the layout of a folder.

    Raises:
        InputError: It could be two layouts, or has not two classes.
    """
    folders = _folders(root)
    training = [name for name in folders if name.lower() in TRAINING]
    testing = sorted((n for n in folders if n.lower() in TESTING), key=lambda name: TESTING.index(name.lower()))
    others = [name for name in folders if name not in (*training, *testing)]
    if len(training) > 1:
        raise InputError(f"{root}: both {' and '.join(training)} could be the training images; name one of them")
    if testing and not training and not others:
        raise InputError(f"{root}: has {' and '.join(testing)}, but no folder train beside it")
    if not training or (others and not _holds_classes(root / training[0])):
        for name in testing:
            if len({*_folders(root / name)} & {*others}) > 1:
                raise InputError(
                    f"{root}: {name} holds folders of the classes beside it: test images, or a class? Move the "
                    f"training images into {root / 'train'}, or rename it"
                )
        return Layout(root, None, _class_names(root), ())  # `train` may be a class: trains
    if others and not testing:
        raise InputError(
            f"{root}: {training[0]} could be a class or the training images; rename it, or name folder:"
            f"{root / training[0]}"
        )
    test = next((name for name in testing if _folders(root / name)), None)
    unused = (*others, *(name for name in testing if name != test))
    train = root / training[0]
    return Layout(train, None if test is None else root / test, _class_names(train), unused)


def list_images(folder: Path, classes: tuple[str, ...]) -> Listing:
    """The images below the folders of classes, however deep.

    Raises:
        InputError: A class without images.
    """
    listing = Listing([], Counter())
    for entry in os.scandir(folder):
        if entry.is_file():
            what = "images outside the folders of classes" if _is_image(entry.name) else _kind(entry.name)
            listing.left_out[what] += 1
    for label, name in enumerate(classes):
        before, others = len(listing.files), Counter[str]()
        for path in sorted(_files(folder / name, others)):
            if _is_image(path.name) and path.is_file():
                stat = path.stat()
                signature = [str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns]
                listing.files.append((label, path, signature))
            else:
                others[_kind(path.name) if path.is_file() else "broken links"] += 1
        if len(listing.files) == before:
            found = f", only {_counts(others)}" if others else ""
            raise InputError(f"{folder / name}: holds no image ({', '.join(sorted(SUFFIXES))}){found}")
        listing.left_out.update(others)
    return listing


def describe(layout: Layout, listing: Listing) -> tuple[str, ...]:
    """What was recognised, how many images a class has, and what was left out: lines for the user."""
    split = layout.test is not None or layout.train.name.lower() in TRAINING
    where = f"test images {layout.test or 'missing'}" if split else "no test images beside them"
    number = Counter(label for label, _, _ in listing.files)
    shown = [f"{one_line(name, 40)} {number[label]:,}" for label, name in enumerate(layout.classes)]
    if len(shown) > _MOST_LISTED:
        fewest, most = (f(number, key=lambda label: number[label]) for f in (min, max))
        shown = [f"from {shown[fewest]} to {shown[most]}"]
    lines = [
        f"{layout.train}: {len(listing.files):,} training images in a folder a class, {where}",
        f"Images of {len(layout.classes)} classes: {', '.join(shown)}",
    ]
    left_out = [_counts(listing.left_out)] if listing.left_out else []
    left_out += [f"folders {', '.join(layout.unused)}"] if layout.unused else []
    lines += [f"Left out: {', '.join(left_out)}"] if left_out else []
    if layout.test is not None and (missing := sorted({*layout.classes} - {*_folders(layout.test)})):
        lines.append(f"{layout.test} has no folder {', '.join(missing)}: it cannot be tested on")
    return tuple(one_line(line) for line in lines)


def _class_names(folder: Path) -> tuple[str, ...]:
    names = _folders(folder)
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise InputError(f"{folder}: needs a folder of images for each of at least two classes, found {found}")
    return tuple(names)


def _holds_classes(folder: Path) -> bool:
    """Whether it holds folders and no image of its own."""
    return len(_folders(folder)) > 1 and not any(_is_image(entry.name) for entry in os.scandir(folder))


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not _is_system(entry.name))


def _files(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """All files below a folder; those in folders of the system are counted in `left_out`."""
    for path, folders, files in os.walk(folder):
        for name in [name for name in folders if _is_system(name)]:
            folders.remove(name)
            left_out[_HIDDEN] += sum(len(inside) for _, _, inside in os.walk(Path(path, name)))
        yield from (Path(path, name) for name in files)


def _is_image(name: str) -> bool:
    return not _is_system(name) and Path(name).suffix.lower() in SUFFIXES


def _is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a system beside the images (``@eaDir``, ``__MACOSX``)."""
    return name.startswith((".", "@")) or name in _SYSTEM


def _kind(name: str) -> str:
    return _HIDDEN if _is_system(name) else Path(name).suffix.lower() or "without a suffix"


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in left_out.most_common(10))
