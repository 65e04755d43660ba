import dataclasses
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from evaluator.weights import to_bytes
from nas.commands.train import best_of_run, main
from nas.training.folder import TrainFolder
from nas.training.run import make_config
from search_space.architecture import Architecture
from search_space.builder import build_model
from tests import forks
from tests.nas_small import SMALL

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
FAST = ["--epochs", "1", "--quiet", "--device", "cpu"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with three networks."""
    for rank, stem in enumerate((8, 16, 24), 1):
        (tmp_path / "run" / "top").mkdir(parents=True, exist_ok=True)
        text = dataclasses.replace(SMALL, stem=stem).to_yaml()
        (tmp_path / "run" / "top" / f"{rank:02d}.yaml").write_text(text)
    return tmp_path / "run"


def test_one_network(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main([str(run / "top" / "01.yaml"), "-o", str(out), *FAST]) == 0
    assert {path.name for path in out.iterdir()} >= {
        "config.yaml",
        "network.yaml",
        "network.safetensors",
        "metrics.json",
        "checkpoint.pt",
    }
    table = capsys.readouterr().out
    assert "validation" in table
    assert str(out) in table
    assert Architecture.load(out / "network.yaml").classes == 10
    assert main([str(run / "top" / "01.yaml"), "-o", str(out), *FAST]) == 2
    assert "exists already; add --resume" in capsys.readouterr().err
    assert main([str(run / "top" / "01.yaml"), "-o", str(out), *FAST, "--resume"]) == 0


def test_what_a_recipe_lacks_is_said(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [str(run / "top" / "01.yaml"), "--recipe", "efficientnet", "--epochs", "1", "--device", "cpu"]
    assert main([*flags, "-o", str(tmp_path / "out"), "--no-mirror"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Recipe efficientnet lacks, against the paper's: AutoAugment")
    assert "learned nothing" in said.out
    assert "mirror: false" in (tmp_path / "out" / "config.yaml").read_text()


def test_fine_tuning_says_what_is_new(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = Architecture.load(run / "top" / "01.yaml")
    (tmp_path / "w.safetensors").write_bytes(to_bytes(build_model(network), network))
    flags = [str(run / "top" / "01.yaml"), "--init", str(tmp_path / "w.safetensors"), "--epochs", "1", "--freeze"]
    assert main([*flags, "-o", str(tmp_path / "out"), "--device", "cpu"]) == 0
    line = "a new classifier, of 10 classes where it has 5: 170 of "
    assert line in capsys.readouterr().err
    assert "backbone_rate: 0" in (tmp_path / "out" / "config.yaml").read_text()


class Hostile:
    """Unpickled by a careless reader, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_hostile_checkpoint_runs_nothing_and_leaves_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"conv_stem.weight": Hostile(tmp_path / "taken")}, tmp_path / "w.pt")
    flags = [str(run / "top" / "01.yaml"), "--init", str(tmp_path / "w.pt"), "-o", str(tmp_path / "out"), *FAST]
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert "w.pt: not a weights file, or broken" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "taken").exists()
    assert not (tmp_path / "out").exists()


def test_the_best_of_a_run_are_ranked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run), "--top", "2", "-o", str(tmp_path / "out"), *FAST]) == 0
    rows = capsys.readouterr().out.splitlines()[1:3]
    metrics = {name: json.loads((tmp_path / "out" / name / "metrics.json").read_text()) for name in ("01", "02")}
    order = sorted(metrics, key=lambda name: -metrics[name]["validation_accuracy"])
    assert [row.split()[0] for row in rows] == order
    assert list(best_of_run(run, 1)) == [""]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "name either FILE or --run RUN"),
        (["efficientnet-b0", "--top", "2"], "--top: goes with --run"),
        (["--run", "absent", "--top", "2"], "--run absent: has 0 networks in its folder top, 2 are wanted"),
        (["efficientnet-b0", "--resume"], "--resume: name the training with -o"),
        (["efficientnet-b0", "--epochs", "0"], "epochs must be at least 1"),
        (["efficientnet-b0", "--batch-size", "1"], "batch_size must be at least 2"),
        (["efficientnet-b0", "--data", "absent"], "unknown data 'absent'"),
        (["efficientnet-b0", "--init", "absent.pt"], "absent.pt: cannot be read"),
        (["efficientnet-b0", "--freeze"], "--recipe finetune and --freeze go with --init"),
        (["efficientnet-b0", "--threads", "0"], "--threads: must be 1 to 1024"),
        (["efficientnet-b0", "--device", "tpu"], "--device"),
    ],
)
def test_wrong_input_is_one_line(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*flags, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_help_answers_without_loading_torch() -> None:
    code = "import sys; from nas.commands.train import main\n"
    code += "try:\n main(['--help'])\nexcept SystemExit: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "--recipe" in done.stdout


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LONG = ["--epochs", "6", "--ema", "0.9", "--mixup", "0.2", "--rand-augment", "1", "--device", "cpu", "--threads", "1"]


@pytest.mark.slow
def test_killed_five_times_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.to_yaml())
    command = ["train", str(tmp_path / "small.yaml"), *LONG]
    whole = forks.start([*command, "-o", str(tmp_path / "whole")], ROOT)
    whole.join()
    assert whole.exitcode == 0
    chance, checkpoint, last = random.Random(0), tmp_path / "cut" / "checkpoint.pt", 0
    for kill in range(5):
        process = forks.start([*command, "-o", str(tmp_path / "cut"), "--resume"], ROOT)
        # Once before it has begun to train, else some time after the next epoch.
        while kill != 2 and process.is_alive() and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == last):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.join()
        last = checkpoint.stat().st_mtime_ns
    rest = forks.start([*command, "-o", str(tmp_path / "cut"), "--resume"], ROOT)
    rest.join()
    assert rest.exitcode == 0
    weights = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.to_yaml())
    flags = [*LONG, "--batch-size", "32", "--accumulate", "2"]
    flags[1] = "4"
    done = subprocess.run(
        [*TORCHRUN, "-m", "nas.commands.train", str(tmp_path / "small.yaml"), *flags, "-o", str(tmp_path / "out")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["history"][-1]["loss"] < metrics["history"][0]["loss"]
    assert done.stdout.count("validation") == 1


def test_a_folder_of_an_earlier_version_goes_on_at_its_own_resolution(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (40, 30), (90, 20 * number, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    network = dataclasses.replace(SMALL, resolution=48, classes=10)
    (tmp_path / "network.yaml").write_text(network.to_yaml())
    before = dataclasses.replace(network, resolution=64, classes=2)  # which a network of other classes was brought to
    flags = [*FAST, "--data", f"folder:{tmp_path / 'photos'}", "--batch-size", "4"]
    config = make_config(None, {"data": f"folder:{tmp_path / 'photos'}", "epochs": 1, "batch_size": 4})
    TrainFolder(tmp_path / "out").begin(config, before, False)
    assert main([str(tmp_path / "network.yaml"), *flags, "-o", str(tmp_path / "out"), "--resume"]) == 0


def test_a_folder_without_test_images(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (16, 16), (30 * number, 90, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    flags = ["--data", f"folder:{tmp_path / 'photos'}", "--resolution", "16", "--batch-size", "4", *FAST]
    flags = ["--run", str(run), "--top", "2", "-o", str(tmp_path / "out"), *flags]
    assert main(flags) == 0
    table = capsys.readouterr().out
    for name in ("01", "02"):
        assert json.loads((tmp_path / "out" / name / "metrics.json").read_text())["test_accuracy"] is None
        assert (tmp_path / "out" / name / "network.safetensors").is_file()
    assert main([*flags, "--resume"]) == 0
    assert capsys.readouterr().out == table


def test_several_processes_are_told_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["efficientnet-b0"]) == 2
    assert "-o: name the folder" in capsys.readouterr().err
