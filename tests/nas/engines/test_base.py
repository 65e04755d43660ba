from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from evaluator.base import Evaluation
from nas.engines.base import Engine, Job
from search_space.architecture import Architecture


class Minimal(Engine):
    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        for job in jobs:
            yield job.trial, Evaluation(status="ok", accuracy=0.5)


def test_an_engine_needs_only_run() -> None:
    engine = Minimal()
    job = Job(trial=3, architecture=Architecture.load("efficientnet-b0"), seed=1)
    assert job.fidelity == 1
    assert [trial for trial, _ in engine.run([job])] == [3]
    engine.close()


def test_run_must_be_written() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Engine()  # type: ignore[abstract]
