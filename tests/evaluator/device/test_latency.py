import dataclasses
import inspect
import time

import pytest
import torch

from evaluator.device import latency
from evaluator.device.latency import LatencyMeter, median_ms, one_thread
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.nas_small import SMALL


def test_the_median_leaves_warm_up_and_outliers_out() -> None:
    now, seconds = 0.0, iter([50.0, 50.0] + [2.0] * 4 + [50.0])

    def call() -> None:
        nonlocal now
        now += next(seconds)

    assert median_ms(call, runs=5, warm_up=2, clock=lambda: now) == 2000


def test_waiting_does_not_count() -> None:
    assert inspect.signature(median_ms).parameters["clock"].default is time.thread_time


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
