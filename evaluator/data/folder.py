"""Folders of images, decoded once into a memory-mapped cache.

Layouts: one folder a class, or train/ and val/ (or test/) with one folder a class each, as ImageNet's.
Decoding costs far more than training on small images, so every image is decoded once at the proxy resolution, in
parallel, and kept as uint8 in a file that all processes map.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from joblib import cpu_count
from PIL import Image, ImageOps

from evaluator.data.dataset import Dataset, Images, Progress, Request
from search_space.errors import InputError

DEFAULT_RESOLUTION = 64
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded, whatever a file's name says: Pillow knows others that run programs of their own."""
MOST_PIXELS = 100_000_000
"""Of one image: more is refused before it is decoded."""

_FORMAT = 1  # of the cache: raise it when the decoding below changes
_CHUNK = 64  # images a task
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, *_BOMBS)


def load_folder(request: Request) -> Dataset:
    """The images below a folder; classes are its subfolders, in alphabetical order.

    Where there is a ``train`` folder, ``val`` or ``test`` beside it holds the test images.

    Raises:
        InputError: The folder is missing, empty, has one class or a class without images, or an image is broken.
    """
    root = request.folder()
    train_root = root / "train" if (root / "train").is_dir() else root
    classes = _class_names(train_root)

    def load(folder: Path) -> Images:
        resolution = request.resolution or DEFAULT_RESOLUTION
        return _load_cached(folder, classes, resolution, request.cache_dir, request.progress)

    apart = [root / name for name in ("val", "test") if train_root != root and (root / name).is_dir()]
    load_test = (lambda: load(apart[0])) if apart else None
    return Dataset(name=request.spec, classes=classes, train=load(train_root), load_test=load_test)


def _class_names(folder: Path) -> tuple[str, ...]:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise InputError(f"{folder}: needs a folder of images for each of at least two classes, found {found}")
    return tuple(names)


def _load_cached(
    folder: Path, classes: tuple[str, ...], resolution: int, cache_dir: Path, progress: Progress
) -> Images:
    """Images of `folder`, decoded now or mapped from the cache."""
    files = _list_images(folder, classes)
    labels = torch.tensor([label for label, _, _ in files])
    listing = json.dumps([_FORMAT, resolution, str(folder.resolve()), [signature for _, _, signature in files]])
    cached = cache_dir / "images" / f"{hashlib.sha256(listing.encode()).hexdigest()[:24]}.npy"
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{cached.parent}: decoded images cannot be kept there: {error.strerror}") from None
    with FileLock(cached.with_suffix(".lock")):  # a second process waits instead of decoding as well
        shape = (len(files), 3, resolution, resolution)
        pixels = _read_cache(cached, shape)
        if pixels is None:
            _decode_all([path for _, path, _ in files], shape, cached, progress)
            pixels = _read_cache(cached, shape)
    assert pixels is not None
    return Images(torch.from_numpy(pixels), labels)


def _read_cache(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Decoded images, as copy-on-write pages; None where there are none, or they are damaged.

    The pages are shared between processes until written to, which nobody does.
    """
    try:
        pixels: np.ndarray = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _list_images(folder: Path, classes: tuple[str, ...]) -> list[tuple[int, Path, list[object]]]:
    """For each image its class number, path and signature, by class and path."""
    found: list[tuple[int, Path, list[object]]] = []
    for label, name in enumerate(classes):
        before = len(found)
        for path in sorted((folder / name).rglob("*")):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                stat = path.stat()
                found.append((label, path, [str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns]))
        if len(found) == before:
            raise InputError(f"{folder / name}: holds no image ({', '.join(SUFFIXES)})")
    return found


def _decode_all(paths: list[Path], shape: tuple[int, ...], target: Path, progress: Progress) -> None:
    """Decode into `target`, an .npy file (N, 3, resolution, resolution), which appears complete or not at all."""
    need, free = math.prod(shape), shutil.disk_usage(target.parent).free
    if need > free:
        raise InputError(f"{target.parent}: {need:,} bytes are needed for decoded images, {free:,} are free")
    unfinished = target.with_suffix(".part")  # what a killed process left is overwritten
    try:
        pixels = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(unfinished)
        _decode_parallel(paths, pixels, progress)
        pixels.flush()
        with unfinished.open("rb+") as handle:
            os.fsync(handle.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _reserve(path: Path) -> None:
    """Take a file's room on disk now: a disk that fills up later would kill who writes through the map (SIGBUS).

    Raises:
        InputError: There is no room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise InputError(f"{path.parent}: no room for decoded images: {error.strerror}") from None


def _decode_parallel(paths: list[Path], out: np.ndarray, progress: Progress) -> None:
    with ThreadPoolExecutor(cpu_count()) as pool:  # PIL decodes without the interpreter's lock
        tasks = [
            pool.submit(_decode_chunk, paths[first : first + _CHUNK], out[first : first + _CHUNK])
            for first in range(0, len(paths), _CHUNK)
        ]
        try:
            done = 0
            for task in as_completed(tasks):
                done += task.result()
                progress(done, len(paths))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _decode_chunk(paths: list[Path], out: np.ndarray) -> int:
    """Decode images into uint8 `out` (N, 3, S, S); their number."""
    for path, pixels in zip(paths, out, strict=True):
        pixels[:] = decode(path, pixels.shape[-1])
    return len(paths)


def decode(path: Path, resolution: int) -> np.ndarray:
    """One image as uint8 (3, resolution, resolution): scaled to cover the square, its centre cut out.

    Raises:
        InputError: The image is broken.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, at most {MOST_PIXELS:,} are decoded")
            image.draft("RGB", (resolution, resolution))  # JPEG: decode at an eighth, a quarter or half where enough
            square = ImageOps.fit(image.convert("RGB"), (resolution, resolution), Image.Resampling.BILINEAR)
    except _DECODE_ERRORS as error:
        raise InputError(f"{path}: broken image: {error}") from None
    return np.asarray(square).transpose(2, 0, 1)
