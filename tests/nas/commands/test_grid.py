from __future__ import annotations

import csv
import itertools
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from evaluator.base import Evaluation
from evaluator.proxy import Proxy
from nas.commands.grid import main
from nas.grid.coefficients import Coefficients, read
from nas.journal import read as read_journal
from nas.journal import seal
from nas.runs.directory import is_blank
from search_space.architecture import Architecture, Stage
from search_space.cost import count
from search_space.io import strict_yaml
from search_space.seeding import derive_seed
from tests import forks
from tests.runs import trainings
from tests.toys import SteadyEvaluator

ROOT = Path(__file__).parents[3]
TOY = ["--phi", "1", "--arch", "efficientnet-b0", "--evaluator", "tests.toys:SteadyEvaluator"]
SMALL = Architecture(
    stem=16,
    head=64,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, channels=16),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=32, layers=2, se=0.25),
        Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=48, layers=2),
    ),
)


def events(run: Path) -> list[dict[str, Any]]:
    """The journal, times aside."""
    rows = list(read_journal(run / "journal.jsonl"))
    for row in rows:
        row.get("evaluation", {}).pop("seconds", None)
    return rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("grid") / "run"
    assert main([*TOY, "--quiet", "--run-dir", str(run)]) == 0
    return run


def test_a_run_leaves_coefficients_a_family_and_its_trials(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        ".journal.jsonl.lock",
        *("config.yaml", "journal.jsonl", "coefficients.yaml", "trials.csv", "family", "report.html"),
    }
    coefficients = read(finished / "coefficients.yaml")
    members = [Architecture.load(finished / "family" / f"efficientnet-b0-{phi}.yaml") for phi in range(8)]
    assert members[0] == Architecture.load("efficientnet-b0")
    assert members == [coefficients.scale(members[0], phi) for phi in range(8)]
    assert all(count(a).macs < count(b).macs for a, b in itertools.pairwise(members))
    assert 0.95 <= count(members[1]).macs / count(members[0]).macs / 2 <= 1.05


def test_the_family_beyond_the_grids_phi_is_not_trained(finished: Path) -> None:
    trained = {trial["key"] for row in events(finished) if row["event"] == "proposed" for trial in row["trials"]}
    keys = [Architecture.load(finished / "family" / f"efficientnet-b0-{phi}.yaml").key for phi in range(8)]
    assert [key in trained for key in keys] == [False, True, *[False] * 6]


def test_trainings_are_paired_and_compared_at_equal_epochs_alone(finished: Path) -> None:
    with open(finished / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    lengths = [(int(row["fidelity"]), int(row["repeat"])) for row in rows]
    assert lengths[:16] == [(1, 0)] * 16
    assert lengths[16:24] == [(2, 0)] * 8 or lengths[16:25] == [(2, 0)] * 9
    finals = [row for row in rows if row["fidelity"] == "3"]
    by_candidate: dict[str, list[float]] = {}
    for row in finals:
        by_candidate.setdefault(row["candidate"], []).append(float(row["accuracy"]))
    assert all(len(accuracies) == 5 for accuracies in by_candidate.values())
    document = strict_yaml.load((finished / "coefficients.yaml").read_text(), "coefficients")
    best = max(by_candidate, key=lambda number: sum(by_candidate[number]))
    assert document["candidates"][0]["candidate"] == int(best)
    assert document["candidates"][0]["accuracy"] == pytest.approx(sum(by_candidate[best]) / 5, abs=1e-5)
    paper = next(row for row in document["evidence"]["against"] if row["what"] == "paper")
    assert (paper["alpha"], paper["beta"]) == (1.25, 1.1)


def test_every_candidate_of_a_repeat_has_the_same_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toys import SteadyEvaluator

    seen: list[tuple[int, int]] = []
    evaluate = SteadyEvaluator.evaluate

    def watched(self: SteadyEvaluator, architecture: Architecture, seed: int, fidelity: int = 1) -> Any:
        seen.append((seed, fidelity))
        return evaluate(self, architecture, seed, fidelity)

    monkeypatch.setattr(SteadyEvaluator, "evaluate", watched)
    assert main([*TOY, "--quiet", "--repeats", "2", "--seed", "3", "--run-dir", str(tmp_path / "run")]) == 0
    assert {seed for seed, fidelity in seen[1:] if fidelity < 3} == {derive_seed(3, "repeat", 0)}
    finals = [seed for seed, fidelity in seen if fidelity == 3]
    assert set(finals) == {derive_seed(3, "repeat", 1), derive_seed(3, "repeat", 2)}
    assert finals.count(finals[0]) == len(finals) / 2


def test_the_same_seed_gives_the_same_answer(finished: Path, tmp_path: Path) -> None:
    assert main([*TOY, "--quiet", "--run-dir", str(tmp_path / "run")]) == 0
    assert events(tmp_path / "run") == events(finished)
    assert main([*TOY, "--quiet", "--seed", "1", "--run-dir", str(tmp_path / "other")]) == 0
    assert events(tmp_path / "other")[1:] != events(finished)[1:]


def test_the_screen_says_the_plan_the_winner_and_the_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--run-dir", str(tmp_path / "run"), "--family", "3", "--family-from", "-1"]) == 0
    out = capsys.readouterr().out
    assert "108 triples" in out
    assert "65 distinct networks, which really cost 1.93 to 3.33 times" in out
    assert "16 networks cost 2 times the baseline within 5.0%" in out
    assert "At most 40 trainings: 16 at 1x, 9 at 2x, 15 at 3x" in out
    assert "what is left takes about" in out
    assert "Against the runner-up" in out
    assert "Against the paper's 1.2 / 1.1 / 1.15 (as 1.25 / 1.1 / 1.00446)" in out
    assert "385.8M" in out
    members = ["efficientnet-b0-minus-1.yaml", *(f"efficientnet-b0-{phi}.yaml" for phi in range(4))]
    assert {path.name for path in (tmp_path / "run" / "family").iterdir()} == set(members)


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 10, 19, 20, 21, 31, 60])
def test_resuming_after_any_event_gives_the_journal_of_an_unbroken_run(
    finished: Path, tmp_path: Path, lines: int
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    kept = (finished / "journal.jsonl").read_bytes().splitlines(keepends=True)[:lines]
    (run / "journal.jsonl").write_bytes(b"".join(kept) + b'{"torn')
    flags = ["--resume", "--trust-code"]
    if lines == 0:  # what was asked for is not known: no other grid is run in its place
        assert main([*flags, "--run-dir", str(run), "--quiet"]) == 2
        flags = TOY
    assert main([*flags, "--run-dir", str(run), "--quiet"]) == 0
    assert events(run) == events(finished)
    assert (run / "family").exists()


def test_a_run_goes_on_with_its_own_settings_only(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run-dir", str(finished), "--resume", "--trust-code", "--quiet", "--step", "0.1"]) == 2
    assert "was begun with other settings: step 0.05, not 0.1" in capsys.readouterr().err
    assert main(["--run-dir", str(finished), "--resume", "--trust-code", "--quiet", "--arch", "mnasnet-a1"]) == 2
    assert "baseline" in capsys.readouterr().err
    assert main([*TOY, "--run-dir", str(finished)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*TOY, "--resume", "--trust-code"]) == 2
    assert "--resume: name the run with --run-dir" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["/elsewhere/x", "../../x"])
def test_a_strangers_run_names_no_files_elsewhere(
    finished: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(read_journal(finished / "journal.jsonl"))
    rows[0]["config"]["name"] = name
    (tmp_path / "journal.jsonl").write_bytes(b"".join(seal(row, number) for number, row in enumerate(rows, 1)))
    assert main(["--run-dir", str(tmp_path), "--resume", "--quiet", "--trust-code"]) == 2
    assert f"name must be what a file may be called, without a folder, got '{name}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "flags"), [("family", []), ("networks", ["--compare", "depth,width", "--ratios", "2"])]
)
def test_it_writes_through_no_link(
    tmp_path: Path, folder: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    assert main([*TOY, *flags, "--quiet", "--run-dir", str(run)]) == 0
    shutil.rmtree(run / folder)
    outside.mkdir()
    (run / folder).symlink_to(outside)
    assert main(["--run-dir", str(run), "--resume", "--quiet", "--trust-code"]) == 2
    assert "is a link" in capsys.readouterr().err
    assert list(outside.iterdir()) == []


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--dry-run", "--run-dir", str(tmp_path / "run")]) == 0
    assert "all takes about" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_a_dry_run_trains_some_steps_and_shows_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Proxy, "evaluate", lambda *args: pytest.fail("a whole trial was trained"))
    monkeypatch.setattr(Proxy, "estimate", lambda *args: 60.0)
    flags = ["--phi", "1", "--arch", "efficientnet-b0", "--set", "evaluator.max_images=100", "--dry-run"]
    assert main([*flags, "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "The baseline takes about 60.0 s; all takes about" in out
    assert "Warning: accuracy is scored on 20 held-out images" in out


def test_nominal_compares_all_networks_at_their_true_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--constraint", "nominal", "--dry-run", "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "65 at 1x" in out
    assert "258  992.6M  2.573" in out  # the network of the paper's own triple


@pytest.mark.parametrize("network", ["mnasnet-a1", "plain"])
def test_networks_of_other_spaces(network: str, tmp_path: Path) -> None:
    from tests.nas.grid.test_coefficients import PLAIN

    (tmp_path / "plain.yaml").write_text(PLAIN.to_yaml(name="plain"))
    arch = str(tmp_path / "plain.yaml") if network == "plain" else network
    flags = [*TOY, "--arch", arch, "--quiet", "--band", "0.08", "--run-dir", str(tmp_path / "run")]
    assert main(flags) == 0
    assert read(tmp_path / "run" / "coefficients.yaml") != Coefficients(alpha=1, beta=1, gamma=1)


def test_failed_trainings_are_recorded_and_leave_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failing = [*TOY, "--quiet", "--set", "evaluator.fail_every=7", "--run-dir", str(tmp_path / "some")]
    assert main(failing) in (0, 1)
    assert "this network always fails" in (tmp_path / "some" / "trials.csv").read_text()
    capsys.readouterr()
    assert main([*TOY, "--quiet", "--set", "evaluator.fail_every=1", "--run-dir", str(tmp_path / "all")]) == 1
    error = capsys.readouterr().err
    assert "no network was trained on all 5 seeds (the first that was not: failed: RuntimeError: this network" in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--phi", "-1"], "phi must be above 0"),
        (["--phi", "0"], "phi must be above 0"),
        (["--band", "0.000001"], "raise --band to"),
        (["--tolerance", "0.00001", "--step", "0.3"], "raise --tolerance to"),
        (["--target-flops", "300M"], "the baseline efficientnet-b0 alone has 385.8M MACs"),
        (["--rungs", "3,1"], "rungs must be rising"),
        (["--rungs", "x"], "rungs"),
        (["--arch", "none.yaml"], "unknown architecture 'none.yaml'"),
        (["--epochs", "2"], "epochs"),
        (["--compare", "depth"], "compare must be two or more of depth, width, resolution, compound, each once"),
        (["--compare", "depth,hight"], "compare must be two or more of depth, width, resolution, compound"),
        (["--compare", "depth,width", "--ratios", "2,1.5"], "ratios must be up to 8 rising numbers above 1"),
        (["--compare", "depth,width", "--ratios", "x"], "ratios"),
        (
            ["--compare", "depth,width", "--rungs", "1,2"],
            "rungs must be one length with compare: all train equally long",
        ),
        (["--compare", "depth,width", "--check-phi", "2"], "check_phi must be up to 8 rising numbers above phi"),
        (["--ratios", "2"], "ratios must be up to 8 rising numbers above 1 and at most 64, with compare"),
        (["--check-phi", "1"], "check_phi must be up to 8 rising numbers above phi and at most 10"),
        (["--check-phi", "9"], "--check-phi 9: alpha / beta / gamma = "),
    ],
)
def test_wrong_input_is_one_line(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TOY, *flags, "--run-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


STUDY = [*TOY, "--compare", "depth,width,resolution,compound", "--repeats", "2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("study") / "run"
    assert main([*STUDY, "--quiet", "--run-dir", str(run)]) == 0
    return run


def test_a_study_says_its_costs_its_sentences_and_leaves_its_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*STUDY, "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "At 2 times the baseline's cost, true costs are within 1.4% of each other" in out
    assert "18 trainings: 9 networks on 2 seeds, equal epochs" in out
    assert "At 4 times the baseline's cost compound scaling is " in out
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        ".journal.jsonl.lock",
        *("config.yaml", "journal.jsonl", "trials.csv", "networks", "report.html"),
    }
    assert len(list((tmp_path / "run" / "networks").iterdir())) == 9
    assert main([*STUDY, "--dry-run", "--run-dir", str(tmp_path / "none")]) == 0
    assert "all takes about" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("lines", [1, 2, 4, 12, 13, 25])
def test_a_study_goes_on_after_any_event(study: Path, tmp_path: Path, lines: int) -> None:
    run = tmp_path / "run"
    run.mkdir()
    kept = (study / "journal.jsonl").read_bytes().splitlines(keepends=True)[:lines]
    (run / "journal.jsonl").write_bytes(b"".join(kept) + b'{"torn')
    assert main(["--resume", "--trust-code", "--run-dir", str(run), "--quiet"]) == 0
    assert events(run) == events(study)


def test_a_run_may_be_added_to_but_not_cut(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    go_on = ["--resume", "--trust-code", "--quiet", "--run-dir", str(run)]
    assert main([*STUDY, "--ratios", "2", "--quiet", "--run-dir", str(run)]) == 0
    assert main([*go_on, "--ratios", "2,4"]) == 0
    assert [row for row in events(run) if row["event"] == "finished"] == [
        row for row in events(study) if row["event"] == "finished"
    ]
    assert main(go_on) == 0  # what was added is remembered
    for changed, words in (
        (["--ratios", "2"], "ratios [2.0, 4.0], not [2.0]"),
        (["--compare", "depth,width"], "compare"),
    ):
        assert main([*go_on, *changed]) == 2
        assert words in capsys.readouterr().err


def test_the_best_are_compared_again_at_larger_phi(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main([*TOY, "--repeats", "2", "--check-phi", "2", "--run-dir", str(run)]) == 0
    out = capsys.readouterr().out
    assert "9 at 1x" not in out
    assert "6 at phi 2" in out
    assert "At phi 2, as long and on the same seeds:" in out
    assert "At phi 2 the order (the best, the runner-up, the paper's) " in out
    document = strict_yaml.load((run / "coefficients.yaml").read_text(), "coefficients")
    (check,) = document["evidence"]["checks"]
    assert [abs(row["ratio"] / 4 - 1) < 0.015 for row in check["networks"]] == [True] * 3
    assert "At phi 2 the order" in (run / "report.html").read_text()
    with open(run / "trials.csv", newline="") as file:
        larger = [row for row in csv.DictReader(file) if float(row["ratio"]) > 3]
    assert [row["repeat"] for row in larger] == ["1"] * 3 + ["2"] * 3


def test_a_check_that_failed_is_said_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SteadyEvaluator.evaluate

    def evaluate(self: SteadyEvaluator, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        if count(architecture).macs > 10**9:
            return Evaluation(status="infeasible", reason="too large")
        return whole(self, architecture, seed, fidelity)

    monkeypatch.setattr(SteadyEvaluator, "evaluate", evaluate)
    run = tmp_path / "run"
    assert main([*TOY, "--repeats", "2", "--check-phi", "2", "--engine", "local", "--run-dir", str(run)]) == 0
    said = "Not compared at phi 2: not all of the best were trained on all seeds"
    assert said in capsys.readouterr().out
    assert said in (run / "report.html").read_text()


def test_half_a_step(tmp_path: Path) -> None:
    flags = [*TOY, "--phi", "0.5", "--constraint", "nominal", "--quiet", "--run-dir", str(tmp_path / "run")]
    assert main(flags) == 0


def test_a_real_grid_is_the_same_twice(tmp_path: Path) -> None:
    """Trained on digits, at several resolutions: same seed, same accuracies."""
    (tmp_path / "small.yaml").write_text(SMALL.to_yaml(name="small"))
    flags = ["--arch", str(tmp_path / "small.yaml"), "--step", "0.25", "--tolerance", "0.5", "--band", "0.2"]
    flags += ["--epochs", "1", "--rungs", "1", "--repeats", "2", "--set", "evaluator.max_images=200", "--quiet"]
    for run in ("a", "b"):
        assert main([*flags, "--run-dir", str(tmp_path / run)]) == 1  # so little training only guesses
    assert events(tmp_path / "a") == events(tmp_path / "b")
    rows = [row for row in events(tmp_path / "a") if row["event"] == "finished"]
    assert len(rows) >= 4
    assert len({tuple(row["evaluation"]["losses"]) for row in rows}) == len(rows)


@pytest.mark.slow
def test_killed_at_many_moments_a_grid_ends_as_an_unkilled_one(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.to_yaml(name="small"))
    flags = ["--arch", str(tmp_path / "small.yaml"), "--epochs", "1", "--set", "evaluator.max_images=600", "--quiet"]
    assert main([*flags, "--run-dir", str(tmp_path / "whole")]) == 0
    run, finished, moments = tmp_path / "killed", 0, random.Random(0)
    for wanted in (0, 2, 9, 17, 26):
        goes_on = run.exists() and not is_blank(run)
        argv = ["--resume", "--trust-code", "--quiet"] if goes_on else flags
        process = forks.start(["grid", *argv, "--run-dir", str(run)], ROOT)
        while trainings(run) < wanted and process.is_alive():
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the run ended before it was killed: make it longer"
        assert trainings(run) >= max(finished, wanted), "a finished training was lost"
        finished = trainings(run)
    assert main(["--run-dir", str(run), "--resume", "--trust-code", "--quiet"]) == 0
    assert events(run) == events(tmp_path / "whole")
    assert read(run / "coefficients.yaml") == read(tmp_path / "whole" / "coefficients.yaml")


@pytest.mark.slow
def test_the_default_grid_finds_coefficients_on_digits(tmp_path: Path) -> None:
    # All the trainings of the default grid, each narrow and on few images: enough to be better than guessing.
    small = ["--epochs", "1"]
    for setting in ("max_images=300", "batch_size=16", "width=0.2"):
        small += ["--set", f"evaluator.{setting}"]
    run = ["--quiet", "--run-dir", str(tmp_path / "run")]
    assert main(["--phi", "1", "--arch", "efficientnet-b0", *small, *run]) == 0
    assert len(list((tmp_path / "run" / "family").iterdir())) == 8


@pytest.mark.slow
def test_a_resnet_is_scaled_into_a_family(tmp_path: Path) -> None:
    small = ["--epochs", "3", "--step", "0.25", "--tolerance", "0.3", "--rungs", "1", "--finalists", "1"]
    small += ["--repeats", "2", "--family", "2"]
    for setting in ("max_images=500", "batch_size=16", "width=0.1"):
        small += ["--set", f"evaluator.{setting}"]
    assert main(["--phi", "1", "--arch", "resnet-18", *small, "--quiet", "--run-dir", str(tmp_path / "run")]) == 0
    members = [Architecture.load(tmp_path / "run" / "family" / f"resnet-18-{phi}.yaml") for phi in range(3)]
    assert members[0] == Architecture.load("resnet-18")
    assert all({stage.op for stage in member.stages} == {"basic"} for member in members)
    assert all(count(a).macs < count(b).macs for a, b in itertools.pairwise(members))
