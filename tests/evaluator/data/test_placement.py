from types import SimpleNamespace

import pytest
import torch

from evaluator.data import placement
from evaluator.data.dataset import Images
from evaluator.data.placement import HostImages, place

CPU = torch.device("cpu")
DATA = Images(torch.arange(4 * 12, dtype=torch.uint8).view(4, 3, 2, 2), torch.arange(4))


def test_on_a_cpu_images_stay_as_they_are() -> None:
    placed = place(DATA, CPU)
    assert type(placed) is Images
    assert placed.images.data_ptr() == DATA.images.data_ptr()
    assert placed.device == CPU


@pytest.mark.parametrize(("most", "memory", "kept"), [(48, 2**40, False), (47, 2**40, True), (48, 8 * 47, True)])
def test_what_is_large_for_a_gpu_stays_on_the_host(
    most: int, memory: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    monkeypatch.setattr(placement, "MOST_ON_DEVICE", most)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=memory))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device) or tensor)
    gpu = torch.device("cuda")
    placed = place(DATA, gpu)
    assert isinstance(placed, HostImages) == kept
    assert moved == ([] if kept else [gpu, gpu])
    if kept:
        assert placed.device == gpu


def test_a_batch_of_images_on_the_host_is_that_of_any_others() -> None:
    host, index = HostImages(DATA.images, DATA.labels, CPU), torch.tensor([3, 1, 1])
    batch = host[index]
    assert type(batch) is Images
    assert torch.equal(batch.images, DATA.images[index])
    assert torch.equal(batch.labels, DATA.labels[index])
    assert len(host) == 4


@pytest.mark.gpu
def test_a_batch_reaches_the_gpu() -> None:
    gpu, index = torch.device("cuda"), torch.tensor([2, 0])
    batch = HostImages(DATA.images, DATA.labels, gpu)[index]
    assert batch.device.type == "cuda"
    assert torch.equal(batch.images.cpu(), DATA.images[index])
    assert torch.equal(batch.labels.cpu(), DATA.labels[index])
