"""Folders of images, decoded once into a memory-mapped cache.

Decoding costs far more than training on small images, so every image is decoded once at the proxy resolution, in
parallel, and kept as uint8 in a file that all processes map.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import shutil
import struct
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from joblib import cpu_count
from PIL import Image, ImageOps

from evaluator.data.dataset import Dataset, Images, Progress, Request
from evaluator.data.layout import Listing, describe, find_layout, list_images
from evaluator.data.pixels import as_rgb
from search_space.errors import InputError, one_line
from search_space.io.files import write_atomic

_logger = logging.getLogger(__name__)

DEFAULT_RESOLUTION = 64
MOST_NAMED = 300  # characters of a line that names broken images

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "TGA")
"""What is decoded, whatever a file's name says: Pillow knows others that run programs of their own."""
MOST_PIXELS = 100_000_000
"""Of one image: more is refused before it is decoded."""

_FORMAT = 2  # of the cache: raise it when the decoding below changes
_CHUNK = 64  # images a task
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, EOFError, RuntimeError, struct.error, *_BOMBS)


def load_folder(request: Request) -> Dataset:
    """The images below a folder, laid out as `evaluator.data.layout` says; classes are folders, in alphabetical order.

    Raises:
        InputError: The folder is missing, empty, has one class or a class without images, or images are broken.
    """
    root = request.folder()
    layout = find_layout(root)
    listing = list_images(layout.train, layout.classes)

    def load(folder: Path, images: Listing) -> Images:
        resolution = request.resolution or DEFAULT_RESOLUTION
        return _load_cached(folder, images, resolution, request.cache_dir, request.progress)

    test = layout.test
    return Dataset(
        name=request.spec,
        classes=layout.classes,
        train=load(layout.train, listing),
        load_test=None if test is None else lambda: load(test, list_images(test, layout.classes)),
        notes=describe(layout, listing),
    )


def _load_cached(folder: Path, images: Listing, resolution: int, cache_dir: Path, progress: Progress) -> Images:
    """Images of `folder`, decoded now or mapped from the cache."""
    labels = torch.tensor([label for label, _, _ in images.files])
    listing = json.dumps([_FORMAT, resolution, str(folder.resolve()), [signature for _, _, signature in images.files]])
    cached = cache_dir / "images" / f"{hashlib.sha256(listing.encode()).hexdigest()[:24]}.npy"
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{cached.parent}: decoded images cannot be kept there: {error.strerror}") from None
    with FileLock(cached.with_suffix(".lock")):  # a second process waits instead of decoding as well
        shape = (len(images.files), 3, resolution, resolution)
        pixels = _read_cache(cached, shape)
        if pixels is None:
            _decode_all([path for _, path, _ in images.files], shape, cached, progress)
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


def _decode_all(paths: list[Path], shape: tuple[int, ...], target: Path, progress: Progress) -> None:
    """Decode into `target`, an .npy file (N, 3, resolution, resolution), which appears complete or not at all."""
    need, free = math.prod(shape), shutil.disk_usage(target.parent).free
    if need > free:
        raise InputError(f"{target.parent}: {need:,} bytes are needed for decoded images, {free:,} are free")
    unfinished = target.with_suffix(".part")  # what a killed process left is overwritten
    try:
        pixels = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(unfinished)
        if broken := _decode_parallel(paths, pixels, progress):
            raise InputError(_name_all(broken, target.with_suffix(".broken.txt")))
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


def _decode_parallel(paths: list[Path], out: np.ndarray, progress: Progress) -> list[str]:
    """Decode all images; what is wrong with those that are broken, in order."""
    with ThreadPoolExecutor(cpu_count()) as pool:  # PIL decodes without the interpreter's lock
        tasks = [
            pool.submit(_decode_chunk, paths[first : first + _CHUNK], out[first : first + _CHUNK])
            for first in range(0, len(paths), _CHUNK)
        ]
        try:
            for done, task in enumerate(as_completed(tasks), 1):
                task.result()
                progress(min(done * _CHUNK, len(paths)), len(paths))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [line for task in tasks for line in task.result()]


def _decode_chunk(paths: list[Path], out: np.ndarray) -> list[str]:
    """Decode images into uint8 `out` (N, 3, S, S); what is wrong with those that are broken."""
    broken = []
    for path, pixels in zip(paths, out, strict=True):
        try:
            pixels[:] = decode(path, pixels.shape[-1])
        except InputError as error:
            broken.append(one_line(str(error)))
    return broken


def _name_all(broken: list[str], listed: Path) -> str:
    """One line that names the broken images; where they are many, the first of them and a file of all."""
    text = "; ".join(broken)
    if len(broken) == 1 or len(text) <= MOST_NAMED:
        return text
    write_atomic(listed, "\n".join(broken) + "\n")
    return f"{len(broken):,} broken images, all named in {listed}: {text[:MOST_NAMED]}..."


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
            square = ImageOps.fit(as_rgb(image), (resolution, resolution), Image.Resampling.BILINEAR)
    except _DECODE_ERRORS as error:
        raise InputError(f"{path}: broken image: {error}") from None
    return np.asarray(square).transpose(2, 0, 1)


def log_progress(every_secs: float = 5.0) -> Progress:
    """What logs how many images are decoded, now and then."""
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every_secs:
            last = time.monotonic()
            _logger.info("decoded %d of %d images", done, total)

    return report
