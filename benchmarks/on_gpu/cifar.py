"""Some of CIFAR-10 as one small file, where what is copied to a machine with a GPU has to be small.

    python -m benchmarks.on_gpu.cifar pack cifar-10-batches-bin cifar.zip --images 20000
    python -m benchmarks.on_gpu.cifar unpack cifar.zip cifar        # then --data cifar10:cifar

The first images of each batch, without loss: some 1.7 KB each, as WebP sheets of 100 images a row. What is unpacked has
the binary version's six files, with fewer images each.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
RECORD, COLUMNS = 1 + 3 * 32 * 32, 100


def pack(folder: Path, file: Path, images: int) -> None:
    """Keep so many images, a tenth of them test images; a hundred of a batch are the least."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in NAMES:
            share = 0.1 if name == "test_batch" else 0.9 / 5
            rows = max(1, round(images * share / COLUMNS))
            records = np.fromfile(folder / f"{name}.bin", np.uint8).reshape(-1, RECORD)[: rows * COLUMNS]
            rows = len(records) // COLUMNS
            records = records[: rows * COLUMNS]
            pixels = records[:, 1:].reshape(rows, COLUMNS, 3, 32, 32).transpose(0, 3, 1, 4, 2)
            sheet = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(pixels).reshape(rows * 32, COLUMNS * 32, 3)).save(
                sheet, "WEBP", lossless=True, method=3
            )
            archive.writestr(f"{name}.webp", sheet.getvalue())
            archive.writestr(f"{name}.labels", records[:, 0].tobytes())


def unpack(file: Path, folder: Path) -> None:
    """Write the six binary files."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file) as archive:
        for name in NAMES:
            labels = np.frombuffer(archive.read(f"{name}.labels"), np.uint8)
            sheet = np.asarray(Image.open(io.BytesIO(archive.read(f"{name}.webp"))).convert("RGB"))
            pixels = sheet.reshape(len(labels) // COLUMNS, 32, COLUMNS, 32, 3).transpose(0, 2, 4, 1, 3)
            records = np.concatenate([labels[:, None], pixels.reshape(len(labels), RECORD - 1)], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())


def main() -> None:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="keep the first images of each batch")
    packing.add_argument("folder", type=Path, help="of data_batch_1.bin and so on")
    packing.add_argument("file", type=Path)
    packing.add_argument("--images", type=int, default=20_000)
    unpacking = commands.add_parser("unpack", help="write the binary files")
    unpacking.add_argument("file", type=Path)
    unpacking.add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.command == "pack":
        pack(args.folder, args.file, args.images)
        print(f"{args.file}: {args.file.stat().st_size / 2**20:.1f} MiB")
    else:
        unpack(args.file, args.folder)


if __name__ == "__main__":
    main()
