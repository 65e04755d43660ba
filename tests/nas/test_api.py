from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import nas
from controller.random_search import RandomSearch
from evaluator.base import Evaluation
from evaluator.data.dataset import Dataset, Images, Request
from evaluator.data.trained_on import TrainedOn
from evaluator.weights import to_bytes
from nas.commands.search import main as search
from nas.engines.local import LocalEngine
from nas.journal import read
from search_space.builder import build_model
from search_space.decision import Decision
from search_space.errors import InputError
from tests.nas.runs.test_kept_journals import without_times
from tests.nas_small import SMALL
from tests.toys import ToyConfig, ToyEvaluator

ROOT = Path(__file__).parents[2]
B0 = nas.Architecture.load("efficientnet-b0")


def accuracy(architecture: nas.Architecture, seed: int) -> float:
    """Deeper is better, as far as anyone knows."""
    return min(1.0, sum(stage.layers for stage in architecture.stages) / 40)


class TwoNetworks:
    """A user's own space."""

    name = "two"
    decisions = (Decision(name="which", choices=("b0", "a1")),)

    def decode(self, tokens: Any) -> nas.Architecture:
        return nas.Architecture.load(("efficientnet-b0", "mnasnet-a1")[tokens[0]])


def test_a_search_by_function_is_a_run(tmp_path: Path) -> None:
    with nas.create_study(target_flops="400M", run_dir=str(tmp_path / "run"), controller="random", trials=8) as study:
        best = study.optimize(accuracy, trials=8)
    run = nas.load_run(str(tmp_path / "run"))
    assert run.state == "finished"
    assert best == study.best_trial == run.best_trial
    assert run.best_architecture == study.best_architecture
    assert run.config["evaluator"]["name"] == "tests.nas.test_api:accuracy"
    assert nas.Architecture.load(tmp_path / "run" / "best.yaml") == study.best_architecture


def test_a_search_goes_on_from_python_and_from_the_command_line(tmp_path: Path) -> None:
    flags = ["--target-flops", "400M", "--controller", "reinforce", "--batch", "4", "--trials", "12", "--quiet"]
    own = ["--evaluator", "tests.nas.test_api:accuracy"]
    assert search([*flags, *own, "--trust", "0%", "--run-dir", str(tmp_path / "whole")]) == 0

    def start(trials: int, **more: Any) -> nas.StudyRun:
        settings = {"target_flops": "400M", "controller": "reinforce", "batch": 4, "trials": trials}
        return nas.create_study(**settings, run_dir=tmp_path / "run", **more)

    with start(12) as study:
        study.use_evaluator(accuracy)
        study.study.num_trials = 4
        for trial in study.run(_engine()):
            if trial.number == 2:
                break
    with pytest.raises(nas.InputError, match="exists already"):
        start(12)
    assert search(["--run-dir", str(tmp_path / "run"), "--resume", "--quiet", *own, "--trust", "0%"]) == 0
    with start(12, resume=True, evaluator=accuracy) as study:
        study.optimize(accuracy)
    ours = [event for event in without_times(tmp_path / "run") if event["event"] != "evaluator"]
    theirs = without_times(tmp_path / "whole")
    assert [e for e in ours if e["event"] != "reference"] == [e for e in theirs if e["event"] != "reference"]


def _engine() -> Any:
    from evaluator.function import FunctionConfig, as_evaluator_class
    from nas.engines.local import LocalEngine

    return LocalEngine(as_evaluator_class(accuracy, "accuracy")(FunctionConfig()))


def test_single_trials(tmp_path: Path) -> None:
    with nas.create_study("400M", controller="random", run_dir=tmp_path / "run") as study:
        for _ in range(5):
            trial = study.ask()
            assert trial is not None
            told = study.tell(trial, accuracy=accuracy(study.architecture(trial), 0))
            assert told.reward is not None
        study.optimize(accuracy, trials=8)
    assert len(nas.load_run(tmp_path / "run").finished) == 8
    names = [event["evaluator"]["name"] for event in read(tmp_path / "run" / "journal.jsonl") if "evaluator" in event]
    assert names == ["tests.nas.test_api:accuracy"]


def test_trainings_that_go_on_are_not_told_one_by_one(tmp_path: Path) -> None:
    with nas.create_study("400M", evaluator="proxy", promote=2, run_dir=tmp_path / "run") as study:
        with pytest.raises(nas.InputError, match="promote needs whole batches"):
            study.ask()


def test_a_run_that_was_told_cannot_evaluate_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with nas.create_study("400M", run_dir=tmp_path / "run", controller="random") as study:
        study.tell(study.ask() or 0, accuracy=0.5)
    resume = ["--run-dir", str(tmp_path / "run"), "--resume", "--quiet"]
    assert search(resume) == 2
    assert "accuracies are told from outside (ask and tell); name an evaluator" in capsys.readouterr().err
    assert search([*resume, "--evaluator", "tests.nas.test_api:accuracy", "--trials", "32"]) == 0


def test_another_evaluator_than_before_is_refused(tmp_path: Path) -> None:
    with nas.create_study("400M", run_dir=tmp_path / "run", controller="random", evaluator=accuracy) as study:
        study.optimize(trials=2)
        with pytest.raises(nas.InputError, match=r"was evaluated with tests\.nas\.test_api:accuracy"):
            study.optimize("params", trials=4)


def test_a_strangers_run_runs_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with nas.create_study("400M", run_dir=run, controller="random", evaluator=accuracy) as study:
        study.optimize(trials=2)
    with pytest.raises(
        nas.InputError, match=r"names Python code that this would import: tests\.nas\.test_api:accuracy"
    ):
        nas.create_study("400M", run_dir=run, controller="random", resume=True)
    with nas.create_study("400M", run_dir=run, controller="random", resume=True, trust_code=True) as study:
        assert len(study.finished) == 2


def test_objects_are_taken_wherever_names_are(tmp_path: Path) -> None:
    for number, space in enumerate((TwoNetworks, TwoNetworks(), "tests.nas.test_api:TwoNetworks")):
        study = nas.create_study(
            "400M", space=space, controller=RandomSearch, evaluator=ToyEvaluator, run_dir=tmp_path / f"{number}"
        )
        with study:
            study.optimize(trials=2)
        assert {trial.tokens for trial in study.trials} == {(0,), (1,)}
    settings = {"name": RandomSearch, "batch": 2}
    with nas.create_study("400M", controller=settings, evaluator={"name": "params"}, run_dir=tmp_path / "c") as study:
        assert study.optimize(trials=2) is not None


def test_data_may_be_a_function(tmp_path: Path) -> None:
    def dots(request: Request) -> Dataset:
        labels = torch.arange(40) % 2
        images = Images(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), labels)
        return Dataset(name="dots", classes=("a", "b"), train=images, load_test=lambda: images)

    short = {"name": "proxy", "data": dots, "epochs": 1, "resolution": 8}
    with nas.create_study("400M", controller="random", evaluator=short, run_dir=tmp_path / "run") as study:
        study.optimize(trials=1)
    assert nas.load_run(tmp_path / "run").config["evaluator"]["data"].endswith("dots")


def test_a_function_written_anew_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    with nas.create_study("400M", controller="random", run_dir=tmp_path / "run") as study:
        for found in (0.25, 0.5):
            study.optimize(lambda architecture, seed, found=found: found, trials=len(study.finished) + 1)
    assert [trial.evaluation.accuracy for trial in study.finished if trial.evaluation] == [0.25, 0.5]


def test_models_scaling_and_grids(tmp_path: Path) -> None:
    model = nas.create_model("efficientnet-b0", classes=10)
    assert model.classifier.out_features == 10
    small = nas.Architecture.from_yaml(B0.to_yaml().replace("classes: 1000", "classes: 10"))
    (tmp_path / "w.safetensors").write_bytes(to_bytes(model, small))
    again = nas.create_model("efficientnet-b0", classes=10, weights=str(tmp_path / "w.safetensors"))
    assert torch.equal(again.conv_stem.weight, model.conv_stem.weight)
    (tmp_path / "b0.yaml").write_text(B0.to_yaml())
    assert nas.scale(str(tmp_path / "b0.yaml"), phi=1).resolution == 258
    assert nas.scale(B0, phi=1, coefficients=(1.0, 1.0, 2.0)).resolution == 448
    grid = nas.grid_search(
        "efficientnet-b0", phi=1, evaluator=accuracy, run_dir=tmp_path / "grid", step=0.1, family=2, rungs=[1, 2]
    )
    assert len(grid.family) == 3
    assert nas.load_run(tmp_path / "grid").state == "finished"
    assert len(grid.trials_dataframe()) == len(grid.finished)


def test_training_goes_on_with_the_momentum_that_weights_were_trained_with(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SMALL.to_yaml())
    trained = TrainedOn(
        pixel_mean=(1, 1, 1), pixel_std=(1, 1, 1), class_names=tuple("abcde"), input_size=32, batchnorm_momentum=0.25
    )
    for name, known in (("known", trained), ("unknown", None)):
        (tmp_path / f"{name}.safetensors").write_bytes(to_bytes(build_model(SMALL), SMALL, known))
        model = nas.create_model(tmp_path / "net.yaml", weights=tmp_path / f"{name}.safetensors")
        momenta = {module.momentum for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)}
        assert momenta == {0.25 if known else 0.01}


def test_the_public_names_are_there_and_loaded_lazily() -> None:
    code = "import sys, nas; sys.exit(bool({'torch', 'ray', 'numpy', 'scipy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    for name in nas.__all__:
        assert getattr(nas, name) is not None
    assert sorted(nas.__all__, key=str) == nas.__all__ == dir(nas)
    assert set(nas.__all__) - {"__version__"} == set(nas._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nas.nothing  # noqa: B018


SCRIPT = """
import sys, time, nas

def slow(architecture, seed):
    time.sleep(0.1)
    return min(1.0, sum(stage.layers for stage in architecture.stages) / 40)

if __name__ == "__main__":
    study = nas.create_study(
        "400M", controller="random", evaluator=slow, run_dir=sys.argv[1], resume=True, trials=12, batch=4
    )
    study.optimize()
"""


def test_killed_in_python_it_goes_on_from_the_command_line_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *command], cwd=tmp_path, env=environment)

    def run_until_killed(command: list[str], finished: int) -> None:
        process = start(command)
        while _finished(tmp_path / "run") < finished:
            assert process.poll() is None
        process.kill()
        process.wait()

    python = ["mine.py", "run"]
    shell = ["-m", "nas.commands.search", "--run-dir", "run", "--resume", "--quiet", "--trust", "0%"]
    run_until_killed(python, 3)
    run_until_killed([*shell, "--evaluator", "mine:slow"], 7)
    assert start(python).wait() == 0
    run = nas.load_run(tmp_path / "run")
    assert (run.state, len(run.finished)) == ("finished", 12)
    whole = tmp_path / "whole"
    with nas.create_study("400M", controller="random", run_dir=whole, trials=12, batch=4) as study:
        study.optimize(accuracy)
    assert [(t.tokens, t.reward) for t in study.trials] == [(t.tokens, t.reward) for t in run.trials]


def _finished(path: Path) -> int:
    journal = path / "journal.jsonl"
    return journal.read_bytes().count(b'"event":"finished"') if journal.exists() else 0


class Slow(ToyEvaluator):
    """Says that it takes minutes."""

    def evaluate(self, architecture: nas.Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        return dataclasses.replace(super().evaluate(architecture, seed, fidelity), seconds=100.0)


def test_a_search_by_time_is_planned_and_goes_on_as_planned(tmp_path: Path) -> None:
    def start(**more: Any) -> nas.StudyRun:
        return nas.create_study("400M", evaluator=Slow, controller="random", run_dir=tmp_path / "run", **more)

    with start(time="20m") as study:
        planned = study.settings.trials
        for trial in study.run(LocalEngine(ToyEvaluator(ToyConfig()))):
            if trial.number == 1:
                break
    assert planned == 8  # of 100 s
    with start(time="20m", resume=True) as study:
        assert (study.settings.trials, study.settings.time) == (planned, 1200.0)
        study.optimize()
    assert nas.load_run(tmp_path / "run").state == "finished"
    with pytest.raises(InputError, match="begun with other settings: seed 0, not 1"):
        start(time="20m", resume=True, seed=1)
    with pytest.raises(InputError, match=r"--time 1m is too short for 3 trainings of 100\.0 s"):
        nas.create_study("400M", evaluator=Slow, time="1m", run_dir=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_study_is_the_commands(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a study of ways of scaling runs by nas-grid --compare"):
        nas.grid_search("efficientnet-b0", compare=["depth", "width"], run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_single_trials_from_many_threads_and_none_while_the_search_goes_on(tmp_path: Path) -> None:
    with nas.create_study("400M", evaluator=accuracy, controller="random", run_dir=tmp_path / "run") as study:

        def work(_: int) -> int:
            return study.tell(study.ask() or 0, accuracy=0.5).number

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(work, range(24))) == list(range(24))
        with pytest.raises(nas.InputError, match="the search goes on by itself"):
            study.optimize(trials=30, on_trial=lambda trial: study.ask())
        study.optimize(trials=30)
    assert len(nas.load_run(tmp_path / "run").finished) == 30


def test_a_run_that_was_begun_without_a_time_is_given_none_later(tmp_path: Path) -> None:
    with nas.create_study("400M", evaluator=accuracy, controller="random", run_dir=tmp_path / "run") as study:
        study.optimize(trials=2)
    with pytest.raises(InputError, match=r"time=300s: .* was begun without; a run can only grow"):
        nas.create_study(
            "400M", evaluator=accuracy, controller="random", run_dir=tmp_path / "run", resume=True, time="5m"
        )


NOTEBOOK = """
import nas, torch
from evaluator.data.dataset import Dataset, Images

def dots(request):
    labels = torch.arange(40) % 2
    images = Images(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), labels)
    return Dataset(name="dots", classes=("a", "b"), train=images, load_test=lambda: images)

short = {"name": "proxy", "data": dots, "epochs": 1, "resolution": 8}
with nas.create_study("400M", controller="random", evaluator=short, run_dir="run") as study:
    study.optimize(trials=2, workers=2)
assert len(study.finished) == 2
"""


def test_workers_are_given_a_notebooks_data_function(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-"], input=NOTEBOOK, text=True, cwd=tmp_path, check=True, timeout=600,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
