import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evaluator.base import Evaluation
from evaluator.objective import Objective
from nas.history import Trial
from nas.report import charts as report_charts
from search_space.decision import Decision

DECISIONS = (
    Decision(name="a.op", choices=("x", "y")),
    Decision(name="a.size", choices=("1", "2", "3"), requires=((0, frozenset({1})),)),
)


def trial(number: int, macs: int, accuracy: float | None, tokens: tuple[int, ...] = (0, 0)) -> Trial:
    if accuracy is None:
        evaluation = Evaluation(status="failed", reason="memory")
    else:
        evaluation = Evaluation(status="ok", accuracy=accuracy)
    reward = accuracy or 0.0
    return Trial(
        number=number, tokens=tokens, key=str(number), macs=macs, params=1, evaluation=evaluation, reward=reward
    )


def test_pareto_front_by_hand() -> None:
    trials = [
        trial(0, 5, 0.5),
        trial(1, 3, 0.4),
        trial(2, 4, 0.3),
        trial(3, 5, 0.6),
        trial(4, 9, 0.6),
        trial(5, 1, None),
    ]
    assert report_charts.pareto_front(trials) == [1, 3]


def test_best_so_far_rises_and_reaches_the_last_trial() -> None:
    trials = [trial(0, 1, None), trial(1, 1, 0.2), trial(2, 1, 0.1), trial(3, 1, 0.4), trial(4, 1, 0.3)]
    assert report_charts.best_so_far(trials) == [[1, 0.2], [3, 0.4], [4, 0.4]]
    assert report_charts.best_so_far([trial(0, 1, None)]) == []


@pytest.mark.parametrize("kind", ["soft", "hard", "absolute"])
def test_points_of_a_curve_have_its_reward(kind: Any) -> None:
    objective = Objective(target_macs=400, kind=kind)
    trials = [trial(i, macs, accuracy) for i, (macs, accuracy) in enumerate([(300, 0.5), (400, 0.6), (500, 0.7)])]
    trials = [replace(t, reward=objective.reward(t.evaluation.accuracy, t.macs)) for t in trials if t.evaluation]
    curves = report_charts.iso_rewards(objective, trials)
    assert curves[0]["reward"] == pytest.approx(max(t.reward for t in trials), rel=1e-5)
    for curve in curves:
        assert 400 in curve["macs"]
        rewards = [objective.reward(a, m) for m, a in zip(curve["macs"], curve["accuracy"], strict=True)]
        assert rewards == pytest.approx([curve["reward"]] * len(rewards), rel=1e-4)


def test_no_curves_without_a_result() -> None:
    assert report_charts.iso_rewards(Objective(target_macs=1), [trial(0, 1, None)]) == []


def test_signal_lines_hold_numbers_only() -> None:
    signals = [{"entropy": 2.0, "probabilities": [[1.0]], "flag": True}, {"entropy": 1.5, "repeats": 0}]
    assert report_charts.signal_lines(signals) == {
        "batch": [0, 1],
        "lines": {"entropy": [2.0, 1.5], "repeats": [None, 0.0]},
    }


def test_beliefs_are_thinned_and_keep_first_and_last() -> None:
    signals = [{"probabilities": [[i / 999, 1 - i / 999], [0.2, 0.3, 0.5]]} for i in range(1000)]
    told = report_charts.beliefs(DECISIONS, signals)
    assert told is not None
    assert len(told["batch"]) == report_charts.MAX_COLUMNS
    assert (told["batch"][0], told["batch"][-1]) == (0, 999)
    assert [row[-1] for row in told["decisions"][0]["rows"]] == [1000, 0]
    assert [row[0] for row in told["decisions"][1]["rows"]] == [200, 300, 500]


def test_a_journal_may_hold_any_number() -> None:
    signals = [{"probabilities": [[-1e308, math.inf], [math.nan, 0.3, 5]]}]
    told = report_charts.beliefs(DECISIONS, signals)
    assert told is not None
    assert [row[0] for table in told["decisions"] for row in table["rows"]] == [0, 1000, 0, 300, 1000]


def test_no_beliefs_where_none_are_reported() -> None:
    assert report_charts.beliefs(DECISIONS, [{"repeats": 0.0}]) is None


def test_effects_against_scipy() -> None:
    generator = np.random.default_rng(0)
    trials = []
    for i in range(60):
        op, size = int(generator.integers(2)), int(generator.integers(3))
        accuracy = 0.5 + 0.1 * op + 0.01 * float(generator.standard_normal())
        trials.append(trial(i, 100 + 10 * size * op, accuracy, (op, size * op)))
    first, second = report_charts.effects(DECISIONS, trials)
    assert (first["name"], second["name"]) == ("a.op", "a.size")
    groups = [[t.evaluation.accuracy for t in trials if t.tokens[0] == op and t.evaluation] for op in (0, 1)]
    assert first["count"] == [len(group) for group in groups]
    values = np.concatenate(groups)
    for (difference, half_width), group in zip(first["accuracy"], groups, strict=True):
        assert difference == pytest.approx(np.mean(group) - values.mean(), rel=1e-4)
        noise = sum(np.var(g) * len(g) for g in groups) / (len(values) - 2)
        error = np.sqrt(noise * (1 / len(group) - 1 / len(values)))
        assert half_width == pytest.approx(stats.t(len(values) - 2).ppf(0.975) * error, rel=1e-4)
    # Omega squared from the F statistic: (F - 1) / (F + (n - k + 1) / (k - 1)).
    f = stats.f_oneway(*groups).statistic
    assert first["accuracy_share"] == pytest.approx((f - 1) / (f + len(values) - 1), rel=1e-4)
    # The second decision applies only where the first took y, and moves nothing but MACs.
    assert sum(second["count"]) == len(groups[1])
    assert second["accuracy_share"] < 0.2
    assert [m[1] for m in second["macs"]] == [0, 0, 0]


def test_intervals_cover_the_truth() -> None:
    """Of 400 runs in which the decision changes nothing, about 5 % have an interval that leaves zero out."""
    generator, outside = np.random.default_rng(1), 0
    for _ in range(400):
        trials = [trial(i, 1, float(generator.uniform()), (i % 2, 0)) for i in range(12)]
        (table,) = [t for t in report_charts.effects(DECISIONS, trials) if t["name"] == "a.op"]
        difference, half_width = table["accuracy"][0]
        outside += abs(difference) > half_width
    assert 8 <= outside <= 34


def test_effects_need_three_networks() -> None:
    assert report_charts.effects(DECISIONS, [trial(0, 1, 0.5), trial(1, 1, 0.4, (1, 0))]) == []


def test_choices_tried_once_have_no_interval() -> None:
    decisions = (Decision(name="a", choices=("1", "2", "3")),)
    (table,) = report_charts.effects(decisions, [trial(i, 1, 0.1 * i, (i,)) for i in range(3)])
    assert [difference for difference, _ in table["accuracy"]] == pytest.approx([-0.1, 0, 0.1])
    assert [half_width for _, half_width in table["accuracy"]] == [None] * 3
    assert table["accuracy_share"] == 0


PAIRS = [[i, i + 1] for i in range(0, 48, 2)]


@pytest.mark.parametrize(("count", "groups"), [(0, []), (1, [[0, 0]]), (3, [[0, 0], [1, 1], [2, 2]]), (48, PAIRS)])
def test_batches_are_grouped_without_gaps(count: int, groups: list[list[int]]) -> None:
    assert report_charts.batch_groups(count) == groups
