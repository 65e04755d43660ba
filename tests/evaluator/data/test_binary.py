import gzip
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluator.data.binary import read_idx
from evaluator.data.dataset import load_dataset
from search_space.errors import InputError


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, count=6, compress=False):
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        files = {
            f"{part}-images-idx3-ubyte": rng.integers(0, 256, (count, 5, 5), dtype=np.uint8),
            f"{part}-labels-idx1-ubyte": np.arange(count, dtype=np.uint8) % 3,
        }
        for name, array in files.items():
            data = idx(array)
            path = folder / (name + ".gz" * compress)
            path.write_bytes(gzip.compress(data) if compress else data)


def write_cifar(folder, count=4):
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        record = np.zeros((count, 3073), np.uint8)
        record[:, 0] = np.arange(count) % 10
        record[:, 1:1025] = 7  # red
        (folder / f"{name}.bin").write_bytes(record.tobytes())


@pytest.mark.parametrize("compress", [False, True])
def test_mnist_files_are_read_compressed_or_not(tmp_path, compress):
    write_mnist(tmp_path, compress=compress)
    dataset = load_dataset(f"mnist:{tmp_path}")
    expected = np.random.default_rng(0).integers(0, 256, (6, 5, 5), dtype=np.uint8)
    assert dataset.train.images.shape == (6, 3, 5, 5)
    assert np.array_equal(dataset.train.images[:, 1].numpy(), expected)
    assert dataset.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset.classes == ("0", "1", "2")
    assert not dataset.mirror
    assert load_dataset(f"fashion-mnist:{tmp_path}").mirror


def test_test_files_are_only_needed_for_the_test_set(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    dataset = load_dataset(f"mnist:{tmp_path}")
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte or .*\.gz is missing"):
        dataset.load_test()


def test_cifar_planes_become_channels(tmp_path):
    write_cifar(tmp_path)
    dataset = load_dataset(f"cifar10:{tmp_path}")
    assert dataset.train.images.shape == (20, 3, 32, 32)
    assert dataset.train.images.float().mean((0, 2, 3)).tolist() == [7, 0, 0]
    assert dataset.train.labels.tolist()[:5] == [0, 1, 2, 3, 0]
    assert len(dataset.load_test()) == 4
    assert dataset.mirror


@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), seed=st.integers(0, 100))
def test_idx_round_trip(tmp_path_factory, shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(idx(array))
    assert torch.equal(read_idx(path), torch.from_numpy(array))


@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("idx")
    for name, pack in (("some-file", bytes), ("some-file.gz", gzip.compress)):
        (folder / name).write_bytes(pack(b"\0\0\x08" + data))
        try:
            outcome = idx(read_idx(folder / name).numpy())
        except InputError as error:
            outcome = str(error)
        assert name in outcome if isinstance(outcome, str) else outcome == b"\0\0\x08" + data
    (folder / "plain.gz").write_bytes(b"\0\0\x08" + data)
    with pytest.raises(InputError, match=r"plain\.gz"):
        read_idx(folder / "plain.gz")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3-ubyte", lambda data: data[:-1], "train-images-idx3-ubyte: truncated or damaged: 149 bytes"),
        ("train-images-idx3-ubyte", lambda data: data + b"x", "more bytes of data, its header says 150"),
        ("train-images-idx3-ubyte", lambda data: b"", "train-images-idx3-ubyte: not an idx file"),
        ("train-images-idx3-ubyte", lambda data: b"\x89PNG" + data, "not an idx file of unsigned bytes"),
        ("train-labels-idx1-ubyte", lambda data: idx(np.zeros(5, np.uint8)), "expected 6 labels, got \\(5,\\)"),
        ("train-labels-idx1-ubyte", lambda data: idx(np.zeros(6, np.uint8)), "at least two classes"),
        ("train-images-idx3-ubyte", lambda data: idx(np.zeros((0, 5, 5), np.uint8)), r"expected images \(N, H, W\)"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, name, damage, message):
    write_mnist(tmp_path)
    path = tmp_path / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        load_dataset(f"mnist:{tmp_path}")


def test_a_truncated_gzip_file_is_named(tmp_path):
    write_mnist(tmp_path, compress=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        load_dataset(f"mnist:{tmp_path}")


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_a_truncated_cifar_batch_is_named(tmp_path, size):
    write_cifar(tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes(bytes(size))
    with pytest.raises(InputError, match=r"data_batch_3\.bin: truncated or damaged"):
        load_dataset(f"cifar10:{tmp_path}")


def test_a_missing_cifar_batch_and_a_wrong_label_are_named(tmp_path):
    write_cifar(tmp_path)
    (tmp_path / "data_batch_5.bin").unlink()
    with pytest.raises(InputError, match=r"data_batch_5\.bin: cannot be read: No such file"):
        load_dataset(f"cifar10:{tmp_path}")
    write_cifar(tmp_path)
    (tmp_path / "data_batch_5.bin").write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(InputError, match="labels must be 0 to 9, got 0 to 10"):
        load_dataset(f"cifar10:{tmp_path}")


def test_a_small_file_that_unpacks_to_more_than_it_says_is_refused(tmp_path):
    header = b"\0\0\x08\x01" + (10).to_bytes(4, "big")
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(header + bytes(10**7)))
    with pytest.raises(InputError, match=r"bomb\.gz: truncated or damaged: more bytes of data, its header says 10"):
        read_idx(tmp_path / "bomb.gz")
    (tmp_path / "large").write_bytes(b"\0\0\x08\x02" + b"\xff" * 8)
    with pytest.raises(InputError, match="large: 18,446,744,065,119,617,025 bytes by its header, at most"):
        read_idx(tmp_path / "large")
