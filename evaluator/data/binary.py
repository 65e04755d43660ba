"""Data sets that come as binary files: MNIST's idx files and CIFAR-10's batches."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from evaluator.data.dataset import Dataset, Images, Request
from search_space.errors import InputError

_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MOST_BYTES = 2 * 2**30
"""Of one idx file, unpacked."""
_CIFAR_RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes


def load_idx(request: Request) -> Dataset:
    """MNIST, Fashion-MNIST and all that comes in their four files: train-images-idx3-ubyte[.gz] and so on.

    Raises:
        InputError: A file that is missing, truncated or not idx, by name.
    """
    folder = request.folder()
    train = _read_pair(folder, "train")
    num_classes = int(train.labels.max()) + 1
    return Dataset(
        name=request.spec.partition(":")[0],
        classes=tuple(str(label) for label in range(num_classes)),
        train=train,
        load_test=lambda: _read_pair(folder, "t10k"),
        mirror=request.spec.startswith("fashion"),
    )


def load_cifar10(request: Request) -> Dataset:
    """CIFAR-10 in its binary version: data_batch_1.bin to data_batch_5.bin, test_batch.bin.

    Raises:
        InputError: A file that is missing or truncated, by name.
    """
    folder = request.folder()
    parts = [_read_cifar(folder / f"data_batch_{number}.bin") for number in range(1, 6)]
    return Dataset(
        name="cifar10",
        classes=_CIFAR10_CLASSES,
        train=Images(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])),
        load_test=lambda: _read_cifar(folder / "test_batch.bin"),
    )


def _read_pair(folder: Path, part: str) -> Images:
    images_path, labels_path = _find(folder, f"{part}-images-idx3-ubyte"), _find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dim() != 3 or not images.numel():
        raise InputError(f"{images_path}: expected images (N, H, W), got {tuple(images.shape)}")
    if labels.dim() != 1 or len(labels) != len(images):
        raise InputError(f"{labels_path}: expected {len(images)} labels, got {tuple(labels.shape)}")
    return Images(images.unsqueeze(1), labels.long())


def _find(folder: Path, name: str) -> Path:
    for candidate in (name, f"{name}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise InputError(f"{folder}: {name} or {name}.gz is missing")


def read_idx(path: Path) -> torch.Tensor:
    """Read one idx file of unsigned bytes: two zero bytes, type 8, rank, big-endian sizes, data.

    Raises:
        InputError: Not such a file, or its data is shorter or longer than its header says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(4)
            sizes = file.read(4 * start[3]) if len(start) == 4 else b""
            if len(start) < 4 or start[:3] != b"\0\0\x08" or len(sizes) != 4 * start[3]:
                raise InputError(f"{path}: not an idx file of unsigned bytes")
            shape = struct.unpack(f">{start[3]}I", sizes)
            expected = int(np.prod(shape, dtype=object))
            if expected > MOST_BYTES:
                raise InputError(f"{path}: {expected:,} bytes by its header, at most {MOST_BYTES:,} are read")
            data = file.read(expected + 1)  # no more than it says, however much a small file unpacks to
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if len(data) != expected:
        found = f"{len(data):,}" if len(data) < expected else "more"
        raise InputError(f"{path}: truncated or damaged: {found} bytes of data, its header says {expected:,}")
    return torch.from_numpy(np.frombuffer(data, np.uint8).reshape(shape).copy())


def _read_cifar(path: Path) -> Images:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not len(data) or len(data) % _CIFAR_RECORD:
        raise InputError(f"{path}: truncated or damaged: {len(data):,} bytes, not a multiple of {_CIFAR_RECORD:,}")
    records = torch.from_numpy(data.reshape(-1, _CIFAR_RECORD).copy())
    return Images(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].long())
