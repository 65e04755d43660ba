from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.grid import config as grid_config
from nas.grid.coefficients import Coefficients
from nas.grid.enumeration import enumerate_grid
from nas.grid.result import compare_finalists, family, paper_candidate
from nas.history import Trial
from search_space.architecture import Architecture
from search_space.errors import NasError
from tests.nas.commands.test_grid import TOY, main

B0 = Architecture.load("efficientnet-b0")


class Finished:
    """A study as far as its trials."""

    def __init__(self, rows: list[tuple[tuple[int, int, int], float | None]]) -> None:
        from evaluator.base import Evaluation

        self.trials = []
        for number, (tokens, accuracy) in enumerate(rows):
            failed = Evaluation(status="failed", reason="a reason")
            evaluation = failed if accuracy is None else Evaluation(status="ok", accuracy=accuracy, losses=(1.0,))
            self.trials.append(
                Trial(number=number, tokens=tokens, key=str(tokens[0]), macs=1, params=1, evaluation=evaluation)
            )


def settings(**changes: Any) -> grid_config.GridConfig:
    return grid_config.resolve([{"name": "b0", "baseline": B0, "rungs": [1, 2], "repeats": 2, **changes}])


def test_only_the_last_rung_counts_and_only_whole_sets_of_seeds() -> None:
    rows = [((0, 0, 0), 0.99), ((1, 0, 0), 0.10), ((2, 0, 0), 0.5), ((3, 0, 0), 0.5)]
    rows += [((0, 1, 1), 0.60), ((1, 1, 1), 0.70), ((2, 1, 1), 0.95)]
    rows += [((0, 1, 2), 0.50), ((1, 1, 2), 0.62), ((2, 1, 2), None)]
    finding = compare_finalists(Finished(rows), settings(), paper=0)  # type: ignore[arg-type]
    assert [score.candidate for score in finding.scores] == [1, 0]
    assert finding.winner == 1
    assert [(name, rival) for name, rival, _ in finding.against] == [("runner-up", 0), ("paper", 0)]
    lead = finding.against[0][2]
    assert lead.mean == pytest.approx(0.11)
    assert lead.standard_error == pytest.approx(0.01)


def test_a_winner_without_rivals_is_set_against_nobody() -> None:
    finding = compare_finalists(Finished([((4, 1, 1), 0.5), ((4, 1, 2), 0.7)]), settings(), paper=4)  # type: ignore[arg-type]
    assert finding.winner == 4
    assert finding.against == ()


def test_no_whole_set_of_seeds() -> None:
    with pytest.raises(NasError, match=r"no network was trained on all 2 seeds .*: failed: a reason"):
        compare_finalists(Finished([((0, 1, 1), 0.5), ((0, 1, 2), None)]), settings(), paper=None)  # type: ignore[arg-type]


def test_the_papers_network_is_found_where_the_grid_has_it() -> None:
    own, nominal = settings(), settings(constraint="nominal")
    grid = enumerate_grid(B0, own.bounds)
    paper = paper_candidate(grid, own)
    assert paper is not None
    assert grid.candidates[paper].coefficients.beta == 1.1
    assert paper_candidate(enumerate_grid(B0, nominal.bounds), nominal) is not None
    narrow = settings(tolerance=0.05, constraint="nominal", step=0.1)
    assert paper_candidate(enumerate_grid(B0, narrow.bounds), narrow) is None


def test_a_family_ends_where_an_architecture_cannot_grow_on() -> None:
    members = family(settings(), Coefficients(alpha=2, beta=1, gamma=1))
    assert len(members) == 5  # four layers become 64 at phi 4 and 128 at phi 5
    assert members[0] == B0


def test_a_family_that_ends_early_is_said_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--step", "1", "--tolerance", "0.5", "--quiet", "--run-dir", str(tmp_path / "run")]
    assert main([*TOY, *flags]) == 0
    assert "The family ends at phi 4: beyond, a network exceeds what an architecture may be" in capsys.readouterr().out
    assert len(list((tmp_path / "run" / "family").iterdir())) == 5
