from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluator.base import Evaluation
from nas.grid import config as grid_config
from nas.grid.comparison import Findings, compare_ways, points, standing, verdict
from nas.grid.ways import WAYS, Comparison, scale_all
from nas.history import Trial
from nas.statistics import paired_difference
from search_space.errors import NasError
from tests.nas.grid.test_ways import SMALL

COMPARED = scale_all(SMALL, list(WAYS), [2, 4])


def settings(**changes: Any) -> grid_config.GridConfig:
    base = {"name": "small", "baseline": SMALL, "compare": list(WAYS), "repeats": 3}
    return grid_config.resolve([{**base, "evaluator": "tests.toys:ToyEvaluator", **changes}])


def trained(accuracies: dict[int, list[float | None]]) -> list[Trial]:
    """Trainings by number of the network, one a seed; None failed."""
    rows = [(number, 1 + i, a) for number, values in accuracies.items() for i, a in enumerate(values)]
    failed = Evaluation(status="failed", reason="a reason")
    return [
        Trial(
            number=i,
            tokens=(number, 0, repeat),
            key=str(number),
            macs=1,
            params=1,
            evaluation=failed if a is None else Evaluation(status="ok", accuracy=a, losses=(1.0,)),
        )
        for i, (number, repeat, a) in enumerate(rows)
    ]


RESULTS: dict[int, list[float | None]] = {
    0: [0.50, 0.51, 0.52],
    1: [0.55, 0.56, 0.57],  # depth, 2 times
    2: [0.60, 0.66, 0.58],
    3: [0.57, 0.58, 0.59],
    4: [0.61, 0.62, 0.63],  # compound
    5: [0.60, 0.61, 0.62],  # depth, 4 times
    6: [0.65, 0.66, 0.67],
    7: [0.70, 0.71, 0.72],  # resolution: the best
    8: [0.68, 0.69, 0.70],
}


def find(results: dict[int, list[float | None]] = RESULTS) -> Findings:
    return compare_ways(trained(results), COMPARED, settings(), {})


def test_compound_is_set_against_each_other_way_by_paired_seeds() -> None:
    found = find()
    assert found.pairs == 12  # six pairs of four ways, at two costs
    assert found.baseline is not None
    assert found.baseline.accuracy.mean == pytest.approx(0.51)
    two, four = found.costs
    assert [score.candidate for score in two.scores] == [4, 2, 3, 1]
    assert [score.candidate for score in four.scores] == [7, 8, 6, 5]
    assert (two.hero, four.hero) == (4, 8)
    assert [number for number, _ in four.leads] == [7, 6, 5]
    expected = paired_difference((0.61, 0.62, 0.63), (0.60, 0.66, 0.58), 12)
    assert dict(two.leads)[2] == expected


def test_the_sentences_say_what_can_be_told_apart() -> None:
    found = find()
    first, second = verdict(found, COMPARED)
    assert first.startswith(
        "At 2 times the baseline's cost compound scaling is better than resolution alone and depth alone, "
        "not distinguishable from width alone; against width alone, the best of the others: +0.67 points"
    )
    assert second.startswith(
        "At 4 times the baseline's cost compound scaling is better than width alone and depth alone, worse than "
        "resolution alone; against resolution alone, the best of the others: -2.00 points"
    )
    assert "12 pairs share the chance of a false alarm" in second
    lead = dict(found.costs[0].leads)[2]
    assert f"95% interval {100 * lead.low:+.2f} to {100 * lead.high:+.2f}" in points(lead)


def test_without_compound_the_best_is_set_against_the_others() -> None:
    compared: Comparison = scale_all(SMALL, ["depth", "width"], [2])
    own = settings(compare=["depth", "width"], ratios=[2])
    found = compare_ways(trained({1: [0.5, 0.6, 0.7], 2: [0.6, 0.7, 0.8]}), compared, own, {})
    assert (found.costs[0].hero, found.pairs, found.baseline) == (2, 1, None)
    assert standing(found.costs[0], compared) == "width alone is better than depth alone"


def test_a_way_that_was_not_trained_on_all_seeds_is_left_out() -> None:
    found = find({**RESULTS, 2: [0.6, None, 0.6], 5: [None] * 3, 6: [None] * 3, 7: [None] * 3})
    assert [[score.candidate for score in at.scores] for at in found.costs] == [[4, 3, 1]]
    assert found.pairs == 3
    with pytest.raises(NasError, match=r"no two ways .* on all 3 seeds \(the first that was not: failed: a reason\)"):
        find({1: [None] * 3, 2: [0.5] * 3})
    with pytest.raises(NasError, match="it was stopped before"):
        find({})


def test_networks_that_guess_are_not_compared() -> None:
    described = {"majority_share": 0.1, "validation_images": 500}
    guesses: dict[int, list[float | None]] = {number: [0.1, 0.11, 0.1] for number in range(9)}
    with pytest.raises(NasError, match="nothing was learned, and nothing is compared"):
        compare_ways(trained(guesses), COMPARED, settings(), described)


def test_all_pairs_share_the_chance_of_a_false_alarm() -> None:
    """Equal networks: in at most 5 % of studies anything is called better or worse."""
    generator, alarms = np.random.default_rng(0), 0
    for _ in range(400):
        noise = 0.5 + 0.01 * generator.standard_normal((9, 3))
        found = find({number: list(row) for number, row in enumerate(noise)})
        alarms += any(lead.distinguishable for at in found.costs for _, lead in at.leads)
    assert alarms <= 20
