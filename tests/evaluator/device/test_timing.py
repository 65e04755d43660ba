import pytest

from evaluator.base import Evaluation
from evaluator.device.latency import LatencyMeter
from evaluator.device.timing import make_timer
from evaluator.objective import Objective
from tests.nas_small import SMALL

OK = Evaluation(status="ok", accuracy=0.5)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    keys: list[str] = []
    monkeypatch.setattr(LatencyMeter, "measure", lambda self, a: keys.append(a.key) or 12.5)
    return keys


def test_nothing_is_measured_unless_asked(measured: list[str]) -> None:
    assert make_timer(Objective(target_macs=10))(OK, SMALL) is OK
    assert measured == []


def test_what_succeeded_is_measured_once(measured: list[str]) -> None:
    timer = make_timer(Objective(target_macs=10, target_latency_ms=20.0))
    timed = timer(OK, SMALL)
    assert timed.latency_ms == 12.5
    assert timer(timed, SMALL) is timed
    failed = Evaluation(status="failed", reason="no")
    assert timer(failed, SMALL) is failed
    assert measured == [SMALL.key]
