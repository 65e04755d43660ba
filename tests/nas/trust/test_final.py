from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evaluator.base import Evaluation
from nas import config
from nas.engines.base import Job
from nas.engines.local import LocalEngine
from nas.history import Final
from nas.journal import read
from nas.runs.record import load
from nas.runs.search import StudyRun
from nas.trust import final
from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.decision import Decision
from search_space.errors import NasError
from tests.nas_small import SMALL
from tests.runs import make_run
from tests.toys import SteadyEvaluator, ToyConfig

STEADY = "tests.toys:SteadyEvaluator"
SIZE = {"target_flops": "3M", "resolution": 32, "classes": 10}
TINY = f"{__name__}:TinySpace"
SETTINGS = {"final": 2, "final_seeds": 2, "controller": "evolution"}


class TinySpace:
    """A user's own, made in no time: 3 kernels and 3 depths for each of two stages."""

    name = "tiny"
    decisions = tuple(Decision(name=n, choices=("a", "b", "c")) for n in ("kernel1", "kernel2", "layers1", "layers2"))

    def decode(self, tokens: Sequence[int]) -> Architecture:
        stages = tuple(
            dataclasses.replace(stage, kernel=3 + 2 * tokens[i], layers=1 + tokens[2 + i])
            for i, stage in enumerate(SMALL.stages)
        )
        return dataclasses.replace(SMALL, stages=stages)


class Stopping(LocalEngine):
    """Is interrupted after so many trainings."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__(SteadyEvaluator(ToyConfig()))
        self.jobs: list[Job] = []
        self.after = after

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
        for job in jobs:
            if len(self.jobs) == self.after:
                raise KeyboardInterrupt
            self.jobs.append(job)
            yield from super().run([job])


class Kept(SteadyEvaluator):
    """Trains on, says it."""

    @classmethod
    def keeping(cls, config: ToyConfig, folder: Path) -> ToyConfig:
        return config


def searched(path: Path, trials: int = 6, **settings: Any) -> Path:
    """A search of the tiny space, or of one at a size."""
    own = {} if "resolution" in settings else {"space": TINY, "band": None}
    make_run(path, trials=trials, evaluator=STEADY, **SETTINGS | own | settings)
    return path


def hold(path: Path, engine: LocalEngine | None = None, **settings: Any) -> tuple[Final, list[str]]:
    """A finished search's final, as `nas-search` holds it."""
    engine, said = engine or Stopping(), list[str]()
    with StudyRun(path, config.resolve([load(path).config, settings])) as run:
        beside = final.random_search(run, engine, quiet=True)
        return final.hold(run, final.contestants(run, beside), engine, said.append, quiet=True), said


def beside(path: Path) -> str:
    """Where the known networks of the small search's final are trained."""
    return str(next((path / "final").glob("6-2-beside-*")).relative_to(path))


def without_times(path: Path) -> list[dict[str, Any]]:
    rows = list(read(path / "journal.jsonl"))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search whose final was held in one go."""
    path = searched(tmp_path_factory.mktemp("final") / "run")
    hold(path)
    return path


def test_who_takes_part_and_what_is_trained(tmp_path: Path) -> None:
    path, engine = searched(tmp_path / "run", **SIZE), Stopping()
    found, said = hold(path, engine)
    assert said == []
    record = load(path)
    ranking = sorted(record.trials, key=lambda trial: -(trial.reward or 0.0))[:2]
    best = next(finalist for finalist in found.finalists if finalist.role == "found")
    roles = [finalist.role for finalist in found.finalists]
    assert sorted(roles) == ["found", "found", "random", "reference", "reference", "reference"]
    assert {f.network.key for f in found.finalists if f.role == "found"} == {trial.key for trial in ranking}
    dearer = [count(f.network).macs / count(best.network).macs for f in found.finalists if f.role == "reference"]
    assert all(ratio >= 1 for ratio in dearer)  # of the best that was found, by its reward in the final
    assert min(dearer) < 1.1
    random, full = engine.jobs[:6], engine.jobs[6:]
    assert {job.fidelity for job in random} == {1}
    assert len(full) == 6 * 2
    assert {job.fidelity for job in full} == {4}
    first, second = ({job.seed for job in full if job.architecture == f.network} for f in found.finalists[:2])
    assert len(first) == 2
    assert first == second  # paired
    means = [sum(finalist.accuracies) for finalist in found.finalists]
    assert means == sorted(means, reverse=True)


def test_random_search_trains_no_shared_weights(tmp_path: Path) -> None:
    path = searched(tmp_path / "run")
    with StudyRun(path, config.resolve([load(path).config])) as run:
        run.settings = dataclasses.replace(run.settings, share=60.0)  # which its space could not be given
        assert final.random_search(run, Stopping(), quiet=True).role == "random"


def test_the_winner_is_what_best_yaml_holds_and_the_journal_remembers(whole: Path) -> None:
    record = load(whole)
    assert record.final is not None
    winner = record.final.finalists[0]
    network, metadata = read_document((whole / "best.yaml").read_text(), "best")
    assert network == winner.network
    assert metadata["provenance"]["verdict"] == record.final.verdict
    assert metadata["provenance"]["accuracies"] == list(winner.accuracies)
    assert metadata["metrics"]["accuracy"] == pytest.approx(sum(winner.accuracies) / 2)
    assert metadata["metrics"]["macs"] == count(network).macs
    assert record.best_trial is not None
    assert Architecture.load(whole / "top" / "01.yaml").key == record.best_trial.key


@pytest.mark.parametrize("each", [1, 5])
def test_a_final_killed_again_and_again_ends_as_one_that_never_was(whole: Path, each: int, tmp_path: Path) -> None:
    path = searched(tmp_path / "run")
    tries = 0
    while load(path).final is None:
        tries += 1
        with contextlib.suppress(KeyboardInterrupt):
            hold(path, Stopping(each))
    assert tries > (6 + 8) // each - 1
    assert load(path).final == load(whole).final
    assert (path / "best.yaml").read_text() == (whole / "best.yaml").read_text()
    for folder in ("final/random", "final/6-2", beside(whole), "."):
        assert without_times(path / folder)[1:] == without_times(whole / folder)[1:]


def test_it_goes_on_after_every_line_of_its_journals(whole: Path, tmp_path: Path) -> None:
    ours, known = sorted(path.parent.name for path in (whole / "final").glob("6-2*/journal.jsonl"))
    sizes = {ours: 3 * 2, known: 1 * 2}  # trainings; a line before them and one after
    assert known.startswith("6-2-beside-")
    for folder, trainings in sizes.items():
        lines = (whole / "final" / folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
        assert len(lines) == 1 + trainings + 1
        for number in range(len(lines)):
            path = tmp_path / folder / str(number) / "run"
            shutil.copytree(whole, path)
            main_lines = (path / "journal.jsonl").read_bytes().splitlines(keepends=True)
            (path / "journal.jsonl").write_bytes(b"".join(main_lines[:-1]))
            if folder == ours:
                shutil.rmtree(path / "final" / known)
            (path / "final" / folder / "journal.jsonl").write_bytes(b"".join(lines[:number]) + lines[number][:20])
            engine = Stopping()
            found, _ = hold(path, engine)
            left = min(trainings, max(0, trainings + 1 - number))
            assert len(engine.jobs) == left + (sizes[known] if folder == ours else 0)
            assert found == load(whole).final


def test_a_held_final_trains_nothing_and_more_seeds_add_to_it(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(whole, path)
    before, engine = (path / "journal.jsonl").read_bytes(), Stopping()
    assert hold(path, engine)[0] == load(whole).final
    assert engine.jobs == []
    assert (path / "journal.jsonl").read_bytes() == before
    with StudyRun(path, config.resolve([load(path).config])) as run:
        run.export()
    assert (path / "best.yaml").read_text() == (whole / "best.yaml").read_text()  # the winner's, not the search's
    found, _ = hold(path, engine, final_seeds=3)
    assert len(engine.jobs) == 4
    assert [len(finalist.accuracies) for finalist in found.finalists] == [3] * 4


def test_a_search_that_goes_on_needs_another_final(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(whole, path)
    grown = config.resolve([load(path).config, {"trials": 8}])
    with StudyRun(path, grown) as run:
        list(run.run(Stopping()))
        assert Architecture.load(path / "best.yaml") == run.best_architecture
    assert load(path).history.final is not None
    assert load(path).final is None
    found, _ = hold(path, trials=8)
    assert found.trials == 8
    assert load(path).final == found


def test_a_network_whose_training_fails_is_left_out(tmp_path: Path) -> None:
    class Failing(Stopping):
        def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
            for number, evaluation in super().run(jobs):
                bad = self.jobs[-1].fidelity > 1 and self.jobs[-1].architecture.activation == "relu6"
                yield number, Evaluation(status="diverged", reason="the loss is NaN") if bad else evaluation

    found, said = hold(searched(tmp_path / "run", **SIZE), Failing())
    assert "mobilenet-v2" not in " ".join(finalist.name for finalist in found.finalists)
    assert said[0].startswith("mobilenet-v2 at width ")
    assert said[0].endswith(" is left out of the final: diverged: the loss is NaN")


def test_too_few_networks_are_no_final(tmp_path: Path) -> None:
    class Failing(Stopping):
        def run(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Evaluation]]:
            for number, evaluation in super().run(jobs):
                long = self.jobs[-1].fidelity > 1
                yield number, Evaluation(status="diverged", reason="NaN") if long else evaluation

    path = searched(tmp_path / "run")
    best = (path / "best.yaml").read_text()
    with pytest.raises(NasError, match="no final, no network that was found could be trained on all seeds"):
        hold(path, Failing())
    assert (path / "best.yaml").read_text() == best


def test_a_network_that_random_search_found_too_takes_part_once(tmp_path: Path) -> None:
    path = searched(tmp_path / "run")
    with StudyRun(path, config.resolve([load(path).config])) as run:
        assert run.best_architecture is not None
        same = final.Contestant(name="the best of 6 random networks", role="random", network=run.best_architecture)
        who = final.contestants(run, same)
    assert [contestant.role for contestant in who].count("random") == 0
    assert who[0].name == f"trial {run.best_trial.number}, also the best of 6 random networks"  # type: ignore[union-attr]


def test_trainings_that_go_on_cost_random_search_as_much(tmp_path: Path) -> None:
    search = {"target_flops": "3M", "space": TINY, "band": None, "trials": 10, "promote": 3}
    settings = config.resolve([{**search, "evaluator": f"{__name__}:Kept"}])
    with StudyRun(tmp_path / "run", settings) as run:
        list(run.run(Stopping()))
        trained = [trial.tokens[-1] for trial in run.trials if trial.repeat_of is None]
        assert trained.count(1) > 0
        beside = final.random_search(run, Stopping(), quiet=True)
    assert beside.name == f"the best of {trained.count(0) + 2 * trained.count(1)} random networks"


def test_known_networks_are_expected_to_be_as_slow_as_they_were_in_the_search() -> None:
    known = [Evaluation(status="ok", accuracy=0.5, seconds=seconds) for seconds in (1.0, 3.0)]
    known.append(Evaluation(status="diverged", reason="NaN", seconds=100.0))
    assert final.known_share(known, 8.0) == 0.25
    assert final.known_share(known, 1.0) == 1.0
    assert final.known_share([], 8.0) == final.known_share(known, 0.0) == 1.0


def test_a_final_without_time_ends_after_a_whole_seed_and_goes_on_where_there_is_time(tmp_path: Path) -> None:
    path, engine = searched(tmp_path / "run", final_seeds=5), Stopping()
    asked: list[int] = []

    def fits(trainings: int, seconds: float) -> bool:
        asked.append(trainings)
        return len(asked) < 2

    def clock(fits: Callable[[int, float], bool]) -> Any:
        return SimpleNamespace(workers=2, fits=fits, each=lambda: 0.0, close=lambda: None)

    def held(clock: Any) -> tuple[Final, list[str]]:
        said: list[str] = []
        with StudyRun(path, config.resolve([load(path).config])) as run:
            beside = final.random_search(run, engine, quiet=True)
            run.clock = clock
            who = final.contestants(run, beside)
            return final.hold(run, who, engine, said.append, quiet=True), said

    found, said = held(clock(fits))
    networks = len(found.finalists)
    # After three seeds and after four: what was found again, the known network as often, the winner on two workers.
    assert asked == [networks - 1 + 4 + 2, networks - 1 + 5 + 2]
    assert {len(finalist.accuracies) for finalist in found.finalists} == {4}
    assert "The time is over after 4 of 5 seeds" in said
    before = len(engine.jobs)
    found, said = held(clock(lambda trainings, seconds: True))
    assert len(engine.jobs) == before + networks
    assert {len(finalist.accuracies) for finalist in found.finalists} == {5}
    assert load(path).final == found
