from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from nas.grid import config as grid_config
from nas.grid.coefficients import PAPER, Coefficients
from nas.grid.enumeration import enumerate_grid
from nas.grid.result import compare_finalists, members, paper_candidate
from nas.history import Trial
from search_space.architecture import Architecture
from search_space.errors import NasError

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
    finding = compare_finalists(Finished(rows).trials, settings(), 0, {})
    assert [score.candidate for score in finding.scores] == [1, 0]
    assert finding.best == 1
    assert [(name, rival) for name, rival, _ in finding.against] == [("runner-up", 0), ("paper", 0)]
    lead = finding.against[0][2]
    assert lead.mean == pytest.approx(0.11)
    assert lead.standard_error == pytest.approx(0.01)


def test_a_winner_without_rivals_is_set_against_nobody() -> None:
    finding = compare_finalists(Finished([((4, 1, 1), 0.5), ((4, 1, 2), 0.7)]).trials, settings(), 4, {})
    assert finding.best == 4
    assert finding.against == ()


def test_no_whole_set_of_seeds() -> None:
    with pytest.raises(NasError, match=r"no network was trained on all 2 seeds .*: failed: a reason"):
        compare_finalists(Finished([((0, 1, 1), 0.5), ((0, 1, 2), None)]).trials, settings(), None, {})


def test_the_papers_network_is_found_where_the_grid_has_it() -> None:
    own, nominal = settings(), settings(constraint="nominal")
    grid = enumerate_grid(B0, own.bounds)
    paper = paper_candidate(grid, own)
    assert paper is not None
    assert grid.candidates[paper].coefficients.beta == 1.1
    assert paper_candidate(enumerate_grid(B0, nominal.bounds), nominal) is not None
    narrow = settings(tolerance=0.05, constraint="nominal", step=0.1)
    assert paper_candidate(enumerate_grid(B0, narrow.bounds), narrow) is None


def test_the_papers_network_may_be_one_that_cannot_be_built() -> None:
    deep = dataclasses.replace(B0, stages=(dataclasses.replace(B0.stages[0], layers=36), *B0.stages[1:]))
    own = settings(baseline=deep, phi=6.0)  # 36 * 1.2^6 is more than 100 layers
    assert paper_candidate(enumerate_grid(deep, own.bounds), own) is None


def test_a_family_ends_where_an_architecture_cannot_grow_on() -> None:
    found = members(settings(), Coefficients(alpha=2, beta=1, gamma=1))
    assert list(found) == [0, 1, 2, 3, 4]  # four layers become 64 at phi 4 and 128 at phi 5
    assert found[0] == B0


def test_a_family_goes_both_ways_and_begins_where_the_strides_end() -> None:
    triple = Coefficients(alpha=1, beta=1, gamma=2)
    both = settings(family=1, family_from=-5)
    assert [(phi, m.resolution) for phi, m in members(both, triple).items()] == [
        (-2, 56),
        (-1, 112),
        (0, 224),
        (1, 448),
    ]


def finals(*accuracies: list[float]) -> list[Trial]:
    rows = [((c, 1, 1 + i), a) for c, values in enumerate(accuracies) for i, a in enumerate(values)]
    return Finished(rows).trials  # type: ignore[arg-type]


def test_where_seeds_could_have_made_the_order_the_papers_triple_is_kept() -> None:
    grid, own = enumerate_grid(B0, settings().bounds), settings(repeats=3)
    close = compare_finalists(finals([0.5, 0.6, 0.7], [0.52, 0.59, 0.73]), own, 0, {})
    assert close.best == 1
    assert close.keeps_paper == "the best network is not distinguishable from it"
    assert close.coefficients(grid) == PAPER
    clear = compare_finalists(finals([0.5, 0.6, 0.7], [0.6, 0.7, 0.801]), own, 0, {})
    assert (clear.best, clear.keeps_paper) == (1, "")
    assert clear.coefficients(grid) == grid.candidates[1].coefficients
    outside = compare_finalists(finals([0.5, 0.6, 0.7], [0.52, 0.59, 0.73]), own, None, {})
    assert outside.keeps_paper == "the best network is not distinguishable from the runner-up"
    alone = compare_finalists(finals([0.5, 0.6, 0.7]), own, None, {})
    assert alone.keeps_paper == "no other network was trained on all seeds"
    papers = compare_finalists(finals([0.6, 0.6, 0.7], [0.5, 0.6, 0.69]), own, 0, {})
    assert papers.keeps_paper == ""


def test_the_papers_triple_is_not_kept_where_it_misses_the_target() -> None:
    own = settings(repeats=3, target_flops="1.5B", tolerance=0.2)
    grid = enumerate_grid(B0, own.bounds)
    close = compare_finalists(finals([0.5, 0.6, 0.7], [0.52, 0.59, 0.73]), own, 0, {})
    assert (close.best, close.keeps_paper) == (1, "")
    assert close.coefficients(grid).product == pytest.approx(own.bounds.product, rel=0.1)
    near = compare_finalists(
        finals([0.5, 0.6, 0.7], [0.52, 0.59, 0.73]), settings(repeats=3, target_flops="760M"), 0, {}
    )
    assert near.keeps_paper == "the best network is not distinguishable from it"


def test_networks_that_guess_give_no_family() -> None:
    described = {"majority_share": 0.1, "validation_images": 500}
    with pytest.raises(NasError, match=r"nothing was learned, .*always answering the largest class \(10\.0%\)"):
        compare_finalists(finals([0.1, 0.1], [0.1, 0.12]), settings(), 0, described)
    assert compare_finalists(finals([0.1, 0.1], [0.3, 0.32]), settings(), 0, described).best == 1


def test_all_pairs_share_the_chance_of_a_false_alarm() -> None:
    """Four equal networks on five seeds: the best is told from the runner-up or the paper's in at most 5 % of runs."""
    generator, alarms = np.random.default_rng(0), 0
    for _ in range(1000):
        found = compare_finalists(finals(*(0.5 + 0.01 * generator.standard_normal((4, 5)))), settings(repeats=5), 0, {})
        alarms += any(lead.distinguishable for _, _, lead in found.against)
    assert alarms <= 50
