from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from controller.base import Outcome
from evaluator.shared import training
from nas import config
from nas.config import SearchConfig
from nas.journal import Journal, read, seal
from nas.runs import sharing
from nas.runs.search import SHARED_WEIGHTS, StudyRun
from nas.runs.sharing import shared_config
from nas.runs.time_plan import Plan, Reserve
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.spaces import SMALL, SMALL_YAML

STEPS = 6


def shared_steps(run: Path) -> int:
    (event,) = (event for event in read(run / "journal.jsonl") if event["event"] == "shared")
    return int(event["steps"])


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small space; time passes by the step: a training of so many seconds takes as many."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL_YAML)
    run = training.SharedTraining.run

    def by_steps(self, path, *, seconds, steps, report):  # type: ignore[no-untyped-def]
        run(self, path, steps=min(seconds, steps), report=report)

    monkeypatch.setattr(training.SharedTraining, "run", by_steps)
    return path


def settings(space: Path, **changes: object) -> SearchConfig:
    base = {
        "target_flops": "100k",
        "space": str(space),
        "evaluator": {"name": "shared", "resolution": 8},
        "share": STEPS,
        "band": None,
        "trials": 6,
    }
    return config.resolve([base, changes])


class Known:
    """Scores by a network's key."""

    sets, chance = 2, 10.0

    def losses(self, networks: list[Architecture]) -> list[float]:
        return [int(network.key, 16) % 97 / 97 for network in networks]


def test_a_search_by_shared_weights_alone(space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LEARNED", 2.0)
    said: list[str] = []
    with StudyRun(tmp_path / "run", settings(space), say=said.append) as run:
        best = run.optimize()
        assert best is not None
        accuracies = {trial.key: trial.evaluation.accuracy for trial in run.trials if trial.evaluation}
        guess = run.study.controller.problem.guesses
        assert guess is not None
        assert all(trial.shared_loss is None for trial in run.trials)  # it is the accuracy itself
        assert max(run.trials, key=lambda trial: guess(trial.tokens)[0]).key == max(
            accuracies, key=accuracies.__getitem__
        )
        assert shared_steps(run.path) == STEPS
    assert re.fullmatch("1 set of shared weights: loss [0-9.]+ on held-out images, 2.303 is that of guessing", said[-1])
    assert said[0].startswith(
        "Shared weights: up to 8 sets of 0.0M at 0.25 times the channels, 1 MB in memory and on disk; trained for at "
    )


def test_every_set_counts(space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (sharing, training):
        monkeypatch.setattr(place, "LEARNED", 10.0)
    monkeypatch.setattr(training, "STEPS_PER_CHOICE", 1)  # of two in this space: three sets in six steps
    said: list[str] = []
    with StudyRun(tmp_path / "run", settings(space), say=said.append):
        assert said[-1].startswith("3 sets of shared weights: loss ")


def test_weights_that_have_learned_nothing_guess_nothing(space: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with StudyRun(tmp_path / "run", settings(space, share=1), say=said.append) as run:
        guesses = run.study.controller.problem.guesses
        assert guesses is not None
        assert len(guesses((0,) * len(SMALL.decisions))) == 1  # the number of parameters, as ever
    assert said[-1].startswith("Shared weights: they have learned next to nothing")


def test_what_the_weights_say_of_a_proposal_is_written_down(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "load_scorer", lambda config, path: Known())
    with StudyRun(tmp_path / "run", settings(space, evaluator={"name": "proxy", "resolution": 8})) as run:
        assert run.ask() is not None
        losses = [int(trial.key, 16) % 97 / 97 for trial in run.trials]
        assert [trial.shared_loss for trial in run.trials] == pytest.approx(losses, abs=1e-4)
        guesses = run.study.controller.problem.guesses
        assert guesses is not None
        assert [-guesses(trial.tokens)[0] for trial in run.trials] == losses


def test_weights_are_trained_once(space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with StudyRun(tmp_path / "run", settings(space)):
        pass
    monkeypatch.setattr(training.SharedTraining, "step", lambda self: pytest.fail("trained again"))
    with StudyRun(tmp_path / "run", settings(space)) as again:
        assert shared_steps(again.path) == STEPS


def test_weights_that_are_lost_are_trained_as_far_again(space: Path, tmp_path: Path) -> None:
    kept = tmp_path / "run" / SHARED_WEIGHTS
    with StudyRun(tmp_path / "run", settings(space)):
        before = torch.load(kept, weights_only=True)["vectors"]
    kept.unlink()
    with StudyRun(tmp_path / "run", settings(space)):
        after = torch.load(kept, weights_only=True)["vectors"]
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [event["event"] for event in read(tmp_path / "run" / "journal.jsonl")].count("shared") == 1


def test_a_training_that_was_killed_goes_on(space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SECONDS_PER_CHECKPOINT", 0.0)
    step = training.SharedTraining.step

    def killed(self: training.SharedTraining) -> float:
        if self.steps == 4:
            raise KeyboardInterrupt
        return step(self)

    with StudyRun(tmp_path / "whole", settings(space)):
        whole = torch.load(tmp_path / "whole" / SHARED_WEIGHTS, weights_only=True)["vectors"]
    monkeypatch.setattr(training.SharedTraining, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        StudyRun(tmp_path / "run", settings(space))
    monkeypatch.setattr(training.SharedTraining, "step", step)
    with StudyRun(tmp_path / "run", settings(space)):
        after = torch.load(tmp_path / "run" / SHARED_WEIGHTS, weights_only=True)["vectors"]
    assert all(torch.equal(after[name], whole[name]) for name in whole)


def test_a_run_that_is_killed_as_weights_are_trained_keeps_what_it_was_told_and_worked(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SECONDS_PER_CHECKPOINT", 0.0)
    step, given = training.SharedTraining.step, settings(space, time=3600.0)
    plan = Plan(trials=6, open=False, epochs=1, images=64, seconds=1.0, workers=1, reserve=Reserve())
    earlier = [Outcome(tokens=tuple(0 for _ in SMALL.decisions), reward=0.5, accuracy=0.5)]

    def killed(self: training.SharedTraining) -> float:
        if self.steps == 4:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(training.SharedTraining, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        StudyRun(tmp_path / "run", given, earlier, plan)
    monkeypatch.setattr(training.SharedTraining, "step", step)
    before = torch.load(tmp_path / "run" / SHARED_WEIGHTS, weights_only=True)["counts"]["seconds"]
    with StudyRun(tmp_path / "run", given) as run:
        assert len(run.history.told) == 1
        assert run.history.worked == pytest.approx(before, abs=1e-3)


def test_ctrl_c_between_two_notes_counts_no_time_twice(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SECONDS_PER_CHECKPOINT", 0.0)
    step, append, given = training.SharedTraining.step, Journal.append, settings(space, time=3600.0)
    plan = Plan(trials=6, open=False, epochs=1, images=64, seconds=1.0, workers=1, reserve=Reserve())

    def killed(self: training.SharedTraining) -> float:
        if self.steps == 4:
            raise KeyboardInterrupt
        return step(self)

    def interrupted(self: Journal, event: dict[str, Any]) -> None:
        append(self, event)
        if event["event"] == "worked":
            signal.raise_signal(signal.SIGINT)

    for part, name, broken in ((training.SharedTraining, "step", killed), (Journal, "append", interrupted)):
        with monkeypatch.context() as patch:
            patch.setattr(part, name, broken)
            with pytest.raises(KeyboardInterrupt):
                StudyRun(tmp_path / "run", given, (), plan)
    with StudyRun(tmp_path / "run", given):
        pass
    events = [event["event"] for event in read(tmp_path / "run" / "journal.jsonl")]
    assert events[:3] == ["run", "worked", "shared"]


def test_a_strangers_number_of_steps_is_one_line(space: Path, tmp_path: Path) -> None:
    with StudyRun(tmp_path / "run", settings(space)):
        pass
    journal = tmp_path / "run" / "journal.jsonl"
    rows = [row | ({"steps": "many"} if row["event"] == "shared" else {}) for row in read(journal)]
    journal.write_bytes(b"".join(seal(row, number) for number, row in enumerate(rows, 1)))
    (tmp_path / "run" / SHARED_WEIGHTS).unlink()
    with pytest.raises(InputError, match="not an event of a run"):
        StudyRun(tmp_path / "run", settings(space))


def test_a_link_is_not_followed(space: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.pt"
    elsewhere.write_bytes(b"precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / SHARED_WEIGHTS).symlink_to(elsewhere)
    with pytest.raises(InputError, match="link"):
        StudyRun(tmp_path / "run", settings(space))
    assert elsewhere.read_bytes() == b"precious"


def test_it_trains_on_the_evaluators_images(space: Path) -> None:
    proxy = {"name": "proxy", "data": "digits", "resolution": 8, "mirror": False}
    shared = shared_config(settings(space, evaluator=proxy, seed=3), SMALL)
    assert (shared.data, shared.resolution, shared.mirror, shared.seed) == ("digits", 8, False, 3)


def test_it_needs_images(space: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="share: evaluator params trains on no images; proxy does"):
        StudyRun(tmp_path / "run", settings(space, evaluator="params"))
    assert not (tmp_path / "run").exists()


class OwnSpace:
    """A user's own."""

    name, decisions = "own", ()

    def decode(self, tokens: object) -> None:
        """Never asked."""


def test_it_needs_a_space_of_ours(space: Path, tmp_path: Path) -> None:
    own = replace(settings(space), space=f"{__name__}:OwnSpace")
    with pytest.raises(InputError, match="does not say which layers its networks have in common"):
        shared_config(own, OwnSpace())  # type: ignore[arg-type]
