import dataclasses
import time

import pytest
import torch

from evaluator import latency
from evaluator.latency import LatencyMeter, median_ms, one_thread
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.nas_small import SMALL


def test_the_median_leaves_warm_up_and_outliers_out() -> None:
    sleeps = iter([0.05, 0.05] + [0.002] * 4 + [0.05])
    assert 1.9 < median_ms(lambda: time.sleep(next(sleeps)), runs=5, warm_up=2, clock=time.perf_counter) < 20


def test_waiting_does_not_count() -> None:
    assert median_ms(lambda: time.sleep(0.02), runs=3, warm_up=0) < 10


def test_each_network_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    original = latency.build_model
    monkeypatch.setattr(latency, "build_model", lambda a: built.append(a.key) or original(a))
    meter = LatencyMeter()
    first = meter.measure(SMALL)
    assert first > 0
    assert meter.measure(dataclasses.replace(SMALL)) == first
    meter.measure(dataclasses.replace(SMALL, stem=16))
    assert len(built) == 2


def test_more_work_takes_longer() -> None:
    b0 = dataclasses.replace(Architecture.load("efficientnet-b0"), resolution=64)
    assert LatencyMeter().measure(b0) > 2 * LatencyMeter().measure(SMALL)


def test_one_thread_for_a_while() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_no_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="latency device must be cpu where there is no CUDA device"):
        LatencyMeter("cuda")
