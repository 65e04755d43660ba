from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.commands.search import main
from nas.runs.record import load
from nas.trust import final as trust
from search_space.architecture import Architecture

TINY, STEADY = "tests.nas.trust.test_final:TinySpace", "tests.toys:SteadyEvaluator"
COMMAND = ["--target-flops", "3M", "--space", TINY, "--set", "band=null", "--trials", "4", "--quiet", "--trust", "0%"]
COMMAND += ["--evaluator", STEADY, "--set", "final_seeds=2", "--final", "1"]


def test_the_command_ends_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main([*COMMAND, "--run-dir", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    verdict = load(run).final.verdict  # type: ignore[union-attr]
    assert lines[-1] == verdict
    assert lines[-2] == f"Winner: {run / 'best.yaml'}"
    assert any(line.startswith("Final: 3 networks, trained 4 times longer on the same 2 seeds") for line in lines)
    again = ["--run-dir", str(run), "--resume", "--trust-code", "--quiet", "--trust", "0%"]
    assert main(again) == 0
    assert capsys.readouterr().out.splitlines()[-1] == verdict
    assert verdict in (run / "report.html").read_text()


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trust, "hold", interrupted)
        assert main([*COMMAND, "--run-dir", str(run)]) == 130
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last == ["nas-search", "--run-dir", str(run), "--resume", "--trust-code"]
    assert main([*last[1:], "--quiet"]) == 0
    assert load(run).final is not None


def test_of_a_run_that_grew_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert main([*COMMAND, "--run-dir", str(run)]) == 0

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    again = ["--run-dir", str(run), "--resume", "--trust-code", "--quiet", "--trials", "8", "--final", "6"]
    with monkeypatch.context() as patch:
        patch.setattr(trust, "hold", interrupted)
        assert main(again) == 130
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert main([*last[1:], "--quiet"]) == 0


def test_it_is_refused_before_the_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--final", "5", "--run-dir", str(tmp_path / "run")]) == 2
    assert "--final 5: must be at most the number of trials, 4" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_final_on_real_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    flags = ["--target-flops", "500K", "--data", "digits", "--trials", "2", "--batch", "2", "--epochs", "1", "--quiet"]
    flags += ["--engine", "local", "--trust", "0%", "--set", "evaluator.max_images=400", "--set", "final_seeds=2"]
    assert main([*flags, "--set", "final_longer=2", "--final", "1", "--run-dir", str(run)]) == 0
    held = load(run).final
    assert held is not None
    assert {finalist.network.resolution for finalist in held.finalists} == {16}
    winner = Architecture.load(run / "best.yaml")
    assert winner == held.finalists[0].network
    assert (run / "final" / "trained" / winner.key / "network.safetensors").exists()
    out = capsys.readouterr().out
    assert f"its weights: {run / 'final' / 'trained' / winner.key / 'network.safetensors'}" in out
    assert out.splitlines()[-1] == held.verdict
    page = (run / "report.html").read_text()
    assert held.verdict in page
    assert f"final/trained/{winner.key}/network.safetensors" in page


def test_a_random_search_has_no_other_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--controller", "random", "--run-dir", str(tmp_path / "run")]) == 0
    assert "random networks" not in capsys.readouterr().out
    assert not (tmp_path / "run" / "final" / "random").exists()


def test_a_final_within_a_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main([*COMMAND, "--time", "1h", "--run-dir", str(run)]) == 0
    found = load(run)
    assert found.final is not None
    assert found.history.plan["reserve"]["final"] > 0
    assert 0 < found.history.worked < 3600
