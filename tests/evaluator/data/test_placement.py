from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from evaluator.data import placement
from evaluator.data.dataset import Images
from evaluator.data.placement import AHEAD, HostImages, batches, place

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


class FakeStream:
    """Notes what is asked of it; a CPU is always done."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def wait_event(self, event: object) -> None:
        self.log.append(f"{self.name} waits")

    def record_event(self, event: object = None) -> SimpleNamespace:
        self.log.append(f"{self.name} records")
        return SimpleNamespace(synchronize=lambda: self.log.append("host waits"))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens on the two streams, which are a CPU's."""
    found: list[str] = []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: FakeStream(found, "work"))
    monkeypatch.setattr(torch.cuda, "Event", lambda blocking: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: found.append("kept"))
    monkeypatch.setattr(placement, "_copies", lambda device: FakeStream(found, "copies"))
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_batches_sent_ahead_are_those_of_any_other_data(count: int, log: list[str]) -> None:
    host, order = HostImages(DATA.images, DATA.labels, CPU), torch.arange(count) % 4
    found = list(placement._ahead(host, order.split(2) if count else ()))
    wanted = list(batches(DATA, order, 2)) if count else []
    assert [batch.labels.tolist() for batch in found] == [batch.labels.tolist() for batch in wanted]
    assert all(torch.equal(a.images, b.images) for a, b in zip(found, wanted, strict=True))


def test_batches_are_sent_while_others_are_worked_on(log: list[str]) -> None:
    host, order = HostImages(DATA.images, DATA.labels, CPU), torch.arange(5) % 4
    for number, _ in enumerate(placement._ahead(host, order.split(1))):
        # Sent are those that are worked on and two more; what is used was waited for, and its memory is kept.
        assert log.count("copies records") == min(number + 1 + AHEAD, 5)
        assert log.count("work waits") == number + 1
        assert log.count("kept") == 2 * (number + 1)
        # The host is never more than two steps ahead.
        assert log.count("host waits") == max(0, number - AHEAD)


def test_batches_cover_an_order_and_the_last_may_be_small() -> None:
    order = torch.tensor([3, 0, 2])
    found = [batch.labels.tolist() for batch in batches(DATA, order, 2)]
    assert found == [[3, 0], [2]]
    host = HostImages(DATA.images, DATA.labels, CPU)
    assert [batch.labels.tolist() for batch in batches(host, order, 2)] == found


@pytest.mark.gpu
def test_batches_reach_the_gpu_in_order() -> None:
    count, gpu = 4000, torch.device("cuda")
    images = torch.arange(count * 12 * 64, dtype=torch.int64).remainder(251).to(torch.uint8).view(count, 3, 16, 16)
    host = HostImages(images, torch.arange(count), gpu)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    found = []
    for batch in batches(host, order, 128):
        torch.cuda._sleep(1_000_000)  # so that the host runs ahead
        found.append((batch.images.clone(), batch.labels.clone()))
    assert torch.equal(torch.cat([images for images, _ in found]).cpu(), images[order])
    assert torch.equal(torch.cat([labels for _, labels in found]).cpu(), order)
