"""A checkpoint on the command line: searches whose networks inherit from it, and ``nas-fit``."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from evaluator.weights import load_weights, to_bytes
from nas.commands import fit, search
from nas.runs.record import load
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from search_space.cost import count
from tests import forks
from tests.networks import pretend_trained
from tests.parents import TRAINED
from tests.runs import events, trainings

PARENT = Architecture(
    resolution=12,
    classes=5,
    stem=8,
    stem_stride=1,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, stride=2, channels=16, se=0.25),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=24, layers=2, se=0.25),
    ),
    head=48,
)
SHORT = ["--resolution", "12", "--target-flops", "200K", "--engine", "local", "--quiet"]
SHORT += ["--set", "trials=4", "--set", "batch=2", "--set", "evaluator.epochs=1"]
ENDED = ["--set", "final_seeds=2", "--set", "final_longer=1"]


def pictures(folder: Path, count: int) -> str:
    """Three classes: bright above, bright on the left, or bright in the middle, in noise."""
    generator = np.random.default_rng(0)
    places = {"above": np.s_[:6, :], "left": np.s_[:, :6], "middle": np.s_[3:9, 3:9]}
    for name, place in places.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 120, (12, 12, 3), dtype=np.uint8)
            pixels[place] += 80
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return f"folder:{folder}"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder as `nas-train` leaves it."""
    network = build_model(PARENT, generator=torch.Generator().manual_seed(7))
    pretend_trained(network)
    folder = tmp_path / "parent"
    folder.mkdir()
    (folder / "network.safetensors").write_bytes(to_bytes(network, PARENT, TRAINED))
    (folder / "network.yaml").write_text(PARENT.to_yaml())
    return folder


def test_every_network_of_a_search_inherits(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = tmp_path / "run", pictures(tmp_path / "pictures", 30)
    flags = ["--data", data, "--inherit", str(checkpoint), "--space", "checkpoint", *SHORT, "--trust", "0%"]
    assert search.main([*flags, "--run-dir", str(run)]) == 0
    out = capsys.readouterr().out
    assert f"The best network began with weights of {checkpoint / 'network.safetensors'}: " in out
    assert "checkpoint at width" in out
    assert "efficientnet-b0" not in out
    settings = load(run).history.config["evaluator"]
    weights, network = checkpoint / "network.safetensors", checkpoint / "network.yaml"
    assert (settings["inherit"], settings["parent"]) == (str(weights), str(network))
    more = ["--run-dir", str(run), "--resume", "--trials", "6", "--engine", "local", "--quiet", "--trust", "0%"]
    assert search.main(more) == 0
    whole = tmp_path / "whole"
    assert search.main([*flags, "--set", "trials=6", "--run-dir", str(whole)]) == 0
    evaluated = [[trial.evaluation.accuracy for trial in load(path).finished] for path in (run, whole)]  # type: ignore[union-attr]
    assert evaluated[0] == evaluated[1]
    other = build_model(PARENT, generator=torch.Generator().manual_seed(8))
    weights.write_bytes(to_bytes(other, PARENT, TRAINED))
    capsys.readouterr()
    assert search.main([*more, "--trials", "8"]) == 2
    assert "the checkpoint that its networks begin with is another one now" in capsys.readouterr().err
    assert len(load(run).finished) == 6


@pytest.mark.slow
def test_on_workers_it_is_the_same_search(checkpoint: Path, tmp_path: Path) -> None:
    flags = ["--data", pictures(tmp_path / "pictures", 20), "--inherit", str(checkpoint), *SHORT, "--trust", "0%"]
    assert search.main([*flags, "--run-dir", str(tmp_path / "local")]) == 0
    flags = [flag for flag in flags if flag not in ("--engine", "local")]
    assert search.main([*flags, "--workers", "2", "--run-dir", str(tmp_path / "ray")]) == 0
    assert events(tmp_path / "local") == events(tmp_path / "ray")


def test_from_pictures_and_a_checkpoint_to_a_trained_network(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = tmp_path / "run", pictures(tmp_path / "pictures", 20)
    flags = ["--data", data, "--init", str(checkpoint), *SHORT, *ENDED, "--run-dir", str(run)]
    assert fit.main(flags) == 0
    out = capsys.readouterr().out
    held = load(run).final
    assert held is not None
    assert all(count(finalist.network).macs <= 200_000 for finalist in held.finalists)
    assert {finalist.name for finalist in held.finalists if finalist.role == "reference"} >= {"checkpoint"}
    assert sum(finalist.role == "found" for finalist in held.finalists) == 2
    winner = held.finalists[0]
    lines = out.splitlines()
    assert lines[-3] == held.verdict
    assert lines[-2].startswith(f"Take {winner.name}, {count(winner.network).macs:,} multiply-adds at ")
    ready = run / "ready"
    assert sorted(path.name for path in ready.iterdir()) == ["network.py", "network.safetensors", "network.yaml"]
    assert Architecture.load(ready / "network.yaml") == winner.network
    load_weights(build_model(winner.network), winner.network, ready / "network.safetensors")
    assert not (run / "final" / "random").exists()
    before = {path.name: path.read_bytes() for path in ready.iterdir()}
    assert fit.main(["--run-dir", str(run), "--resume", "--quiet", "--engine", "local"]) == 0
    again = capsys.readouterr().out
    assert again.splitlines()[-3:] == lines[-3:]
    assert "Trust" not in again
    assert {path.name: path.read_bytes() for path in ready.iterdir()} == before


@pytest.mark.slow
def test_killed_and_resumed_it_ends_the_same(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """600 pictures of 3 classes; killed in the search, in the final, and as the winner is trained."""
    data = pictures(tmp_path / "pictures", 200)
    flags = ["--data", data, "--init", str(checkpoint), *SHORT, *ENDED]
    assert fit.main([*flags, "--run-dir", str(tmp_path / "whole")]) == 0
    capsys.readouterr()
    run = tmp_path / "run"

    def searched() -> bool:
        return trainings(run) >= 2

    def held() -> bool:
        return any(trainings(folder) >= 1 for folder in (run / "final").glob("*-*"))

    def kept() -> bool:
        return any((run / "final").glob("trained/*/config.yaml"))

    argv = ["fit", *flags, "--run-dir", str(run)]
    for reached in (searched, held, kept):
        _kill_when(reached, argv)
        argv = ["fit", "--run-dir", str(run), "--resume", "--quiet", "--engine", "local"]
    assert fit.main(argv[1:]) == 0
    out = capsys.readouterr().out
    whole, found = load(tmp_path / "whole").final, load(run).final
    assert found == whole
    assert found is not None
    assert "winner ahead by" in out
    assert found.verdict in out
    for name in ("network.py", "network.safetensors"):
        assert (run / "ready" / name).read_bytes() == (tmp_path / "whole" / "ready" / name).read_bytes()


def _kill_when(reached: Callable[[], bool], argv: list[str]) -> None:
    process = forks.start(argv, Path.cwd())
    while process.is_alive() and not reached():
        time.sleep(0.01)
    assert process.is_alive(), "it ended before it was killed"
    process.kill()
    process.join()


class Hostile:
    """What runs where a pickle is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def truncated(path: Path, checkpoint: Path) -> None:
    whole = (checkpoint / "network.safetensors").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def foreign(path: Path, checkpoint: Path) -> None:
    save_file({"encoder.weight": torch.zeros(3, 3)}, path)


def of_another_network(path: Path, checkpoint: Path) -> None:
    wide = dataclasses.replace(PARENT, head=64)
    path.write_bytes(to_bytes(build_model(wide), wide))


def hostile(path: Path, checkpoint: Path) -> None:
    path.write_bytes(pickle.dumps({"conv_stem.weight": Hostile(path.parent / "owned")}))


def hostile_torch(path: Path, checkpoint: Path) -> None:
    torch.save({"conv_stem.weight": Hostile(path.parent / "owned")}, path)


def not_a_number(path: Path, checkpoint: Path) -> None:
    network = build_model(PARENT)
    with torch.no_grad():
        network.conv_stem.weight[0] = float("nan")
    path.write_bytes(to_bytes(network, PARENT))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (truncated, "broken or truncated safetensors file"),
        (foreign, "does not hold this architecture's weights"),
        (of_another_network, "weights of another architecture"),
        (hostile, "not a weights file, or broken"),
        (hostile_torch, "not a weights file, or broken"),
        (not_a_number, "holds NaN or infinity"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_wrong_checkpoints_are_one_line_before_anything_is_written(
    make: Callable[[Path, Path], None],
    words: str,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong, run = tmp_path / "wrong.safetensors", tmp_path / "run"
    make(wrong, checkpoint)
    data = pictures(tmp_path / "pictures", 3)
    said = ["--data", data, "--parent", str(checkpoint / "network.yaml"), *SHORT, "--run-dir", str(run)]
    for main, flag in ((search.main, "--inherit"), (fit.main, "--init")):
        assert main([*said, flag, str(wrong)]) == 2
        error = capsys.readouterr().err
        assert f"{wrong}: " in error
        assert words in error
        assert error.count("\n") == 1
    assert not run.exists()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--init", "w.pt"], "--data: missing"),
        (["--data", "digits", "--init", "w.pt"], "--target-flops: missing"),
        (["--data", "digits", "--target-flops", "1M"], "--init: missing"),
        (["--data", "digits", "--target-flops", "1M", "--init", "w.pt"], "which network are these weights of?"),
        (["--data", "digits", "--target-flops", "1M", "--init", "w.pt", "--parent", "b9"], "unknown architecture 'b9'"),
        (["--resume"], "--resume: name the run with --run-dir"),
    ],
)
def test_wrong_input_is_one_line(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fit.main(flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("nas-fit: ")
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_nas_search_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    flags = ["--target-flops", "400M", "--evaluator", "params", "--trials", "2", "--quiet"]
    assert search.main([*flags, "--run-dir", str(run)]) == 0
    before = (run / "journal.jsonl").read_bytes()
    assert fit.main(["--run-dir", str(run), "--resume"]) == 2
    assert f"--run-dir {run}: was begun by nas-search; go on with that" in capsys.readouterr().err
    assert (run / "journal.jsonl").read_bytes() == before
    assert search.main([*flags, "--parent", "efficientnet-b0", "--run-dir", str(tmp_path / "other")]) == 2
    assert "--parent: says what a checkpoint's weights are of" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.trust import final as trust

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    flags = ["--data", pictures(tmp_path / "pictures", 10), "--init", str(checkpoint), *SHORT, *ENDED]
    with monkeypatch.context() as patch:
        patch.setattr(trust, "hold", interrupted)
        assert fit.main([*flags, "--set", "trials=2", "--run-dir", str(run)]) == 130
    assert capsys.readouterr().out.splitlines()[-1].split() == ["nas-fit", "--run-dir", str(run), "--resume"]
    assert json.loads((run / "journal.jsonl").read_text().splitlines()[0])["config"]["final"] == 2
