from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.base import Controller, Outcome
from controller.random_search import RandomSearch
from evaluator.base import Evaluation
from evaluator.objective import Objective
from nas.engines.base import Engine, Job
from nas.engines.local import LocalEngine
from nas.history import STALE
from nas.journal import Journal, read
from nas.problem import make_problem
from nas.study import Measurement, Study, evaluation_seed
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, Tokens
from search_space.errors import InputError
from search_space.scaling import scale
from search_space.seeding import derive_seed
from search_space.space import SearchSpace
from tests.toys import ToyConfig, ToyEvaluator

OBJECTIVE = Objective(target_macs=400_000_000)


class Fixed(Controller[Any]):
    """Proposes what it is given and remembers what it is told."""

    Config = dict
    presets = {"default": {}}  # noqa: RUF012 - a toy

    def __init__(self, proposals: list[Tokens]) -> None:
        self.proposals = proposals
        self.told: list[list[Outcome]] = []

    def ask(self, batch: int, count: int) -> list[Tokens]:
        return self.proposals[2 * batch : 2 * batch + count]

    def tell(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        self.told.append(list(outcomes))
        return {"told": len(self.told)}


class Shuffled(Engine):
    """Finishes jobs last to first."""

    def __init__(self) -> None:
        self.inner = LocalEngine(ToyEvaluator(ToyConfig()))
        self.seen: list[int] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Evaluation]]:
        for trial, evaluation in self.inner.run(list(reversed(jobs))):
            self.seen.append(trial)
            yield trial, evaluation


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("accel-nasbench")


OPEN: list[Journal] = []


@pytest.fixture(autouse=True)
def _close_journals() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def make_study(path: Path, space: Space, controller: Controller[Any] | None = None, trials: int = 6) -> Study:
    problem = make_problem(space, OBJECTIVE, None)
    controller = controller or RandomSearch(problem, RandomSearch.Config(), 0)
    OPEN.append(Journal(path))
    return Study(
        space=space,
        objective=OBJECTIVE,
        controller=controller,
        journal=OPEN[-1],
        num_trials=trials,
        batch_size=2,
        seed=0,
    )


def events(path: Path) -> list[dict[str, Any]]:
    """What a journal says, in trial order within a batch, times aside."""
    rows = list(read(path))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    return sorted(rows, key=lambda r: (r.get("trial", -1) // 2 if r["event"] == "finished" else -1, str(r)))


def test_runs_all_trials_and_remembers_them(tmp_path: Path, space: SearchSpace) -> None:
    study = make_study(tmp_path / "j", space)
    finished = list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))
    assert [trial.number for trial in finished] == list(range(6))
    best = max(finished, key=lambda trial: trial.reward or 0)
    assert study.best == best
    assert study.ranking()[0].number == best.number
    assert best.reward == pytest.approx(OBJECTIVE.reward(best.evaluation.accuracy, best.macs))  # type: ignore[union-attr]
    kinds = [row["event"] for row in read(tmp_path / "j")]
    assert kinds == ["proposed", "finished", "finished", "updated"] * 3


def test_the_order_in_which_evaluations_finish_changes_nothing(tmp_path: Path, space: SearchSpace) -> None:
    list(make_study(tmp_path / "a", space).run(LocalEngine(ToyEvaluator(ToyConfig()))))
    engine = Shuffled()
    list(make_study(tmp_path / "b", space).run(engine))
    assert engine.seen == [1, 0, 3, 2, 5, 4]
    assert events(tmp_path / "a") == events(tmp_path / "b")


@pytest.mark.parametrize("lines", range(13))
def test_resuming_after_any_event_gives_the_journal_of_an_unbroken_run(
    tmp_path: Path, space: SearchSpace, lines: int
) -> None:
    list(make_study(tmp_path / "whole", space).run(LocalEngine(ToyEvaluator(ToyConfig()))))
    kept = (tmp_path / "whole").read_bytes().splitlines(keepends=True)[:lines]
    (tmp_path / "part").write_bytes(b"".join(kept))
    list(make_study(tmp_path / "part", space).run(LocalEngine(ToyEvaluator(ToyConfig()))))
    assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_network_seen_before_is_told_again_but_not_trained_again(tmp_path: Path, space: SearchSpace) -> None:
    generator = np.random.default_rng(0)
    a, b = (space.encode(space.sample(generator)) for _ in range(2))
    controller = Fixed([a, a, b, a])
    engine = Shuffled()
    study = make_study(tmp_path / "j", space, controller, trials=4)
    list(study.run(engine))
    assert engine.seen == [0, 2]
    assert [trial.repeat_of for trial in study.trials] == [None, 0, None, 0]
    first, second = controller.told
    assert first[0] == first[1] == second[1]
    assert [trial.number for trial in study.ranking()] == sorted({0, 2}, key=lambda n: -(study.trials[n].reward or 0))


def test_a_failing_evaluation_is_recorded_and_the_search_goes_on(tmp_path: Path, space: SearchSpace) -> None:
    study = make_study(tmp_path / "j", space)
    list(study.run(LocalEngine(ToyEvaluator(ToyConfig(fail_every=1)))))
    assert study.best is None
    assert study.ranking() == []
    for trial in study.trials:
        assert trial.reward == 0
        assert trial.evaluation is not None
        assert trial.evaluation.status == "failed"
        assert trial.evaluation.reason == "RuntimeError: this network always fails"


def test_more_trials_go_on_where_a_run_ended(tmp_path: Path, space: SearchSpace) -> None:
    list(make_study(tmp_path / "j", space, trials=4).run(LocalEngine(ToyEvaluator(ToyConfig()))))
    list(make_study(tmp_path / "whole", space, trials=6).run(LocalEngine(ToyEvaluator(ToyConfig()))))
    OPEN[0].close()
    assert len(list(make_study(tmp_path / "j", space, trials=6).run(LocalEngine(ToyEvaluator(ToyConfig()))))) == 2
    assert (tmp_path / "j").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_reference_is_evaluated_once_a_run(tmp_path: Path, space: SearchSpace) -> None:
    engine = Shuffled()
    study = make_study(tmp_path / "j", space)
    study.evaluate_references({"b0": Architecture.load("efficientnet-b0")}, engine)
    first = study.references
    study.journal.close()
    again = make_study(tmp_path / "j", space)
    again.evaluate_references({"b0": Architecture.load("efficientnet-b0")}, engine)
    assert first == again.references
    assert engine.seen == [-1]


def test_references_that_follow_the_best_are_evaluated_again_once_they_are_others(
    tmp_path: Path, space: SearchSpace
) -> None:
    engine, b0 = Shuffled(), Architecture.load("efficientnet-b0")
    study = make_study(tmp_path / "j", space)
    both = {"b0": b0, "v2": Architecture.load("mobilenet-v2")}
    study.evaluate_references(both, engine, follow=True)
    assert sorted(engine.seen) == [-2, -1]
    assert {name: study.references[name].accuracy for name in both} == {
        name: ToyEvaluator(ToyConfig()).evaluate(network, derive_seed(study.seed, "reference", name)).accuracy
        for name, network in both.items()
    }
    study.journal.close()
    again = make_study(tmp_path / "j", space)
    assert again.history.reference_networks == both
    again.evaluate_references(both, engine, follow=True)
    assert len(engine.seen) == 2
    wider = {**both, "b0": scale(b0, 1.5, 1.0, 224)}
    again.evaluate_references(wider, engine, follow=True)
    assert engine.seen[2:] == [-1]
    assert again.history.reference_networks == wider


def test_the_journal_of_another_space_is_refused(tmp_path: Path, space: SearchSpace) -> None:
    study = make_study(tmp_path / "j", space)
    list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))
    study.journal.close()
    with pytest.raises(InputError, match=r"j: trial 0 is not a proposal of this space"):
        make_study(tmp_path / "j", SearchSpace.load("mnasnet"))


def test_a_controller_with_nothing_left_to_propose_ends_the_study(tmp_path: Path, space: SearchSpace) -> None:
    a = space.encode(space.sample(np.random.default_rng(0)))
    study = make_study(tmp_path / "j", space, Fixed([a]), trials=6)
    assert len(list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))) == 1
    assert [row["event"] for row in read(tmp_path / "j")] == ["proposed", "finished", "updated"]


def test_a_measurement_decides_length_seed_and_what_is_the_same(tmp_path: Path, space: SearchSpace) -> None:
    generator = np.random.default_rng(0)
    a, b = (space.encode(space.sample(generator)) for _ in range(2))
    jobs: list[Job] = []

    class Watched(LocalEngine):
        def run(self, todo: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
            for job in todo:
                jobs.append(job)
                yield from super().run([job])

    class Measured:
        name, decisions, decode = space.name, space.decisions, space.decode

        def measurement(self, tokens: Tokens) -> Measurement:
            return Measurement(fidelity=3, repeat=int(tokens == a))

    study = make_study(tmp_path / "j", Measured(), Fixed([a, b, a, b]), trials=4)
    list(study.run(Watched(ToyEvaluator(ToyConfig()))))
    assert [job.fidelity for job in jobs] == [3, 3]
    assert [job.seed for job in jobs] == [derive_seed(0, "repeat", 1), derive_seed(0, "repeat", 0)]
    assert [trial.repeat_of for trial in study.trials] == [None, None, 0, 1]


def test_single_trials_are_asked_for_and_told_in_any_order(tmp_path: Path, space: SearchSpace) -> None:
    evaluator = ToyEvaluator(ToyConfig())
    study = make_study(tmp_path / "single", space)
    for _ in range(3):
        pair = [study.ask(), study.ask()]
        for trial in reversed(pair):
            assert trial is not None
            found = evaluator.evaluate(study.architecture(trial), evaluation_seed(0, trial.number, None))
            assert study.tell(trial.number, found).ok
    list(make_study(tmp_path / "whole", space).run(LocalEngine(evaluator)))
    assert events(tmp_path / "single") == events(tmp_path / "whole")


def test_a_batch_that_is_not_told_is_no_reason_to_wait(tmp_path: Path, space: SearchSpace) -> None:
    study = make_study(tmp_path / "j", space)
    trials = [study.ask() for _ in range(5)]
    assert [t.number for t in trials if t] == [0, 1, 2, 3, 4]
    assert study.signals == []
    good = Evaluation(status="ok", accuracy=0.5)
    for number in (4, 2, 3, 1):
        study.tell(number, good)
    assert study.signals == []  # batch 0 is learned from first
    study.tell(0, good)
    assert len(study.signals) == 2
    study.journal.close()
    again = make_study(tmp_path / "j", space)
    assert again.trials == study.trials
    assert [t.number for t in (again.ask(),) if t] == [5]  # proposed with trial 4, and never handed out


def test_a_network_in_flight_or_known_is_not_handed_out_again(tmp_path: Path, space: SearchSpace) -> None:
    a, b, c = (space.encode(space.sample(np.random.default_rng(seed))) for seed in range(3))
    study = make_study(tmp_path / "j", space, Fixed([a, b, a, a, c, b]))
    numbers = [study.ask().number for _ in range(3)]  # type: ignore[union-attr]
    assert numbers == [0, 1, 4]
    study.tell(0, Evaluation(status="ok", accuracy=0.5))
    assert [(t.number, t.repeat_of) for t in study.trials if t.ok] == [(0, None), (2, 0), (3, 0)]
    study.tell(1, Evaluation(status="ok", accuracy=0.5))
    study.tell(4, Evaluation(status="ok", accuracy=0.5))
    assert study.ask() is None
    assert len(study.signals) == 3

    later = make_study(tmp_path / "later", space, Fixed([a, b, a, b, c]))
    for trial in (later.ask(), later.ask()):
        assert trial is not None
        later.tell(trial.number, Evaluation(status="ok", accuracy=0.5))
    assert [t.number for t in (later.ask(),) if t] == [4]  # proposed once its network was known
    assert [t.repeat_of for t in later.trials] == [None, None, 0, 1, None]


def test_asking_ends_where_nothing_new_is_left(tmp_path: Path, space: SearchSpace) -> None:
    known = space.encode(space.sample(np.random.default_rng(0)))
    study = make_study(tmp_path / "j", space, Fixed([known] * 3 * STALE))
    assert [trial and trial.number for trial in (study.ask(), study.ask(), study.ask())] == [0, None, None]
    assert len(study.trials) == 2 + STALE
    study.tell(0, Evaluation(status="ok", accuracy=0.5))
    assert study.ask() is None
    assert len(study.trials) == 2 + STALE


@pytest.mark.parametrize(("number", "message"), [(7, "trial 7: there is none"), (-1, "there is none"), (0, "finished")])
def test_what_cannot_be_told_is_refused(tmp_path: Path, space: SearchSpace, number: int, message: str) -> None:
    study = make_study(tmp_path / "j", space)
    assert study.ask() is not None
    study.tell(0, Evaluation(status="ok", accuracy=0.5))
    with pytest.raises(InputError, match=message):
        study.tell(number, Evaluation(status="ok", accuracy=0.5))


def test_every_seed_comes_from_the_studys(tmp_path: Path, space: SearchSpace) -> None:
    class Watched(LocalEngine):
        def run(self, todo: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
            for job in todo:
                seeds.append((job.trial, job.seed))
                yield from super().run([job])

    for seed in (3, 4):
        seeds: list[tuple[int, int]] = []
        study = make_study(tmp_path / str(seed), space, trials=2)
        study.seed = seed
        list(study.run(Watched(ToyEvaluator(ToyConfig()))))
        study.evaluate_references({"b0": Architecture.load("efficientnet-b0")}, Watched(ToyEvaluator(ToyConfig())))
        expected = [derive_seed(seed, "evaluation", 0), derive_seed(seed, "evaluation", 1)]
        assert seeds == [(0, expected[0]), (1, expected[1]), (-1, derive_seed(seed, "reference", "b0"))]
    assert evaluation_seed(3, 7, Measurement(repeat=2)) == derive_seed(3, "repeat", 2)


def test_a_measured_latency_counts_and_is_kept(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = Objective(target_macs=400_000_000, target_latency_ms=10.0)
    monkeypatch.setattr("evaluator.device.latency.LatencyMeter.measure", lambda self, network: 20.0)
    OPEN.append(Journal(tmp_path / "j"))
    controller = RandomSearch(make_problem(space, timed, None), RandomSearch.Config(), 0)
    study = Study(
        space=space, objective=timed, controller=controller, journal=OPEN[-1], num_trials=2, batch_size=2, seed=0
    )
    for trial in study.run(LocalEngine(ToyEvaluator(ToyConfig()))):
        assert trial.evaluation is not None
        assert trial.evaluation.latency_ms == 20.0
        accuracy = trial.evaluation.accuracy or 0.0
        assert trial.reward == pytest.approx(timed.reward(accuracy, trial.macs) * 2**-0.07)
    study.evaluate_references({"b0": Architecture.load("efficientnet-b0")}, LocalEngine(ToyEvaluator(ToyConfig())))
    assert study.references["b0"].latency_ms == 20.0


def test_a_search_without_time_ends_between_batches(tmp_path: Path, space: SearchSpace) -> None:
    study = make_study(tmp_path / "j", space)
    study.has_time = lambda: len(study.trials) < 3
    assert len(list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))) == 4
    study.has_time = lambda: True
    assert len(list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))) == 2
    whole = make_study(tmp_path / "whole", space)
    list(whole.run(LocalEngine(ToyEvaluator(ToyConfig()))))
    assert events(tmp_path / "j") == events(tmp_path / "whole")


def test_ctrl_c_waits_until_an_event_that_is_written_counts(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path / "journal.jsonl", space)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            study.record({"event": "worked", "seconds": 1.0})
    study.record({"event": "worked", "seconds": 2.0})
    assert study.history.worked == 3.0
    assert [event["seconds"] for event in events(tmp_path / "journal.jsonl")] == [1.0, 2.0]


def test_ctrl_c_as_a_trial_is_told_leaves_nothing_half_done(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (space.encode(space.sample(np.random.default_rng(seed))) for seed in range(3))
    study = make_study(tmp_path / "journal.jsonl", space, Fixed([a, b, a, c]))
    good = Evaluation(status="ok", accuracy=0.5)
    assert [trial.number for trial in (study.ask(), study.ask()) if trial] == [0, 1]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            study.tell(0, good)
    study.tell(1, good)
    assert [trial.number for trial in (study.ask(),) if trial] == [3]  # 2 repeats 0
    study.tell(3, good)
    assert [trial.repeat_of for trial in study.trials] == [None, None, 0, None]
    assert len(study.signals) == 2


def test_workers_begin_with_what_takes_longest(tmp_path: Path, space: SearchSpace) -> None:
    class Twice:
        name, decisions, decode = space.name, space.decisions, space.decode

        def measurement(self, tokens: Tokens) -> Measurement:
            return Measurement(fidelity=9 if tokens == first else 1)

    class Seen(LocalEngine):
        workers = 2

        def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
            given = list(jobs)
            order.extend(job.trial for job in given)
            yield from super().run(given)

    order: list[int] = []
    generator = np.random.default_rng(0)
    two = [space.encode(space.sample(generator)) for _ in range(2)]
    proposals = sorted(two, key=lambda tokens: count(space.decode(tokens)).macs)
    first = proposals[0]
    for name, searched in (("short", space), ("long", Twice())):
        list(make_study(tmp_path / name, searched, Fixed(proposals), trials=2).run(Seen(ToyEvaluator(ToyConfig()))))
    assert order == [1, 0, 0, 1]


def test_ctrl_c_waits_until_a_batch_is_learned_from(tmp_path: Path, space: SearchSpace) -> None:
    generator = np.random.default_rng(0)
    controller = Fixed([space.encode(space.sample(generator)) for _ in range(6)])
    study = make_study(tmp_path / "j", space, controller)
    tell = controller.tell

    def interrupted(outcomes: Sequence[Outcome]) -> dict[str, Any]:
        found = tell(outcomes)
        if len(controller.told) == 1:
            signal.raise_signal(signal.SIGINT)
        return found

    controller.tell = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))
    list(study.run(LocalEngine(ToyEvaluator(ToyConfig()))))
    assert [outcome.tokens for told in controller.told for outcome in told] == controller.proposals
