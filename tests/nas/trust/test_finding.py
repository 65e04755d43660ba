from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from nas.statistics import Deviation, Difference, RankCorrelation
from nas.trust.finding import Searched, TrustFigures, figures, lines, sentence
from nas.trust.plan import LONG, REFERENCE_CANDIDATE, SHORT, Plan, enough, make_plan, seed_of
from search_space.decision import Tokens

PLAN = Plan(noise=(5, 6, 7, 8), longer=(1, 2, 3, 4, 5, 6), finalists=(8, 7, 0), seeds=3)
SEARCHED = Searched(
    accuracies=[0.1 * i for i in range(1, 9)],
    rewards=[0.1 * i for i in range(1, 9)],
    free={"the number of parameters": [8, 7, 6, 5, 4, 3, 2, 1], "MACs": [1, 1, 1, 1, 1, 1, 1, 2]},
)
RESULTS: dict[Tokens, float] = {
    (5, SHORT, seed_of(5)): 0.55,  # shifts of .05, .05, .05 and .09: their deviation is .02, the noise that over sqrt 2
    (6, SHORT, seed_of(6)): 0.65,
    (7, SHORT, seed_of(7)): 0.75,
    (8, SHORT, seed_of(8)): 0.89,
    **{(place, LONG, seed_of(place)): 0.1 * place + 0.1 for place in range(1, 9)},
    **{(place, LONG, 1): 0.1 * place + 0.1 for place in (7, 8)},
    (0, LONG, 1): 0.6,
    **{(8, LONG, s): 0.9 + 0.001 * s for s in (2, 3)},
    **{(7, LONG, s): 0.8 - 0.001 * s for s in (2, 3)},
    **{(0, LONG, s): 0.6 + 0.002 * s for s in (2, 3)},
}


def test_figures_by_hand() -> None:
    found = figures(PLAN, RESULTS, SEARCHED, seed=0)
    assert found.noise is not None
    assert found.spread is not None
    assert found.ranking is not None
    assert found.noise.value == pytest.approx(0.02 / 2**0.5)
    assert found.noise.freedom == 3
    assert found.spread.value == pytest.approx(np.std([0.5, 0.6, 0.7, 0.8], ddof=1))
    assert found.ranking.tau == pytest.approx(1)
    assert found.bars["the number of parameters"][0].tau == pytest.approx(-1)
    assert found.bars["the number of parameters"][1].tau == pytest.approx(2)
    assert found.bars["MACs"][0].tau == 0
    assert found.differences["the reference"].mean == pytest.approx((0.3 + 0.298 + 0.297) / 3)
    assert list(found.differences) == ["runner-up 1", "the reference"]
    text = lines(found, "b0", "more")
    assert text[0] == (
        "Among the better half a seed moves an accuracy by 0.0141 [0.0080, 0.0527]; "
        "networks differ by 0.1291 [0.0731, 0.4814]"
    )
    assert text[1].startswith("Rank correlation of accuracies with 4 times longer training, 6 networks: +1.00 [+1.00")
    assert "(the number of parameters alone: -1.00 [-1.00, -1.00]; MACs alone: +0.00 [" in text[1]
    assert text[2].startswith("Winner minus runner-up 1, trained longer: +10.")
    assert len(text) == 5
    assert "Winner minus b0, trained longer: +29.83 points of accuracy" in text[-2]
    assert text[-1].endswith("its winner is better than b0.")


def test_what_is_not_finished_is_left_out() -> None:
    some = {tokens: accuracy for tokens, accuracy in RESULTS.items() if tokens != (0, LONG, 3)}
    assert figures(PLAN, some, SEARCHED, 0).differences["the reference"].mean == pytest.approx((0.3 + 0.298) / 2)
    nothing = figures(PLAN, {}, SEARCHED, seed=0)
    assert (nothing.noise, nothing.ranking, nothing.bars, nothing.differences) == (None, None, {}, {})
    assert lines(nothing, "b0", "more") == [sentence(nothing, "b0", "more")]


def test_at_chance_nothing_else_is_said() -> None:
    found = figures(PLAN, RESULTS, dataclasses.replace(SEARCHED, at_chance="all guess"), seed=0)
    assert lines(found, "b0", "more") == ["This answer is worth nothing: all guess."]


def tau(value: float, low: float, high: float) -> RankCorrelation:
    return RankCorrelation(tau=value, low=low, high=high, networks=16)


def sd(value: float, freedom: int = 10) -> Deviation:
    return Deviation(value=value, low=value / 2, high=2 * value, freedom=freedom)


BARE = TrustFigures(bars={}, differences={})
GOOD = tau(0.6, 0.3, 0.8)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "which was not measured (more)."),
        ({"noise": sd(0.09), "spread": sd(0.1)}, "nothing that could be shown: its better networks do not differ"),
        ({"noise": sd(0.02), "spread": sd(0.1)}, "worth what longer training would say of it: its better networks"),
        ({"noise": sd(0.02, 2), "spread": sd(0.06)}, "nothing that could be shown"),
        (
            {"ranking": tau(0.3, -0.1, 0.6)},
            "worth nothing that could be shown: as far as measured its ranking is noise",
        ),
        ({"ranking": tau(-0.6, -0.8, -0.2)}, "nothing: longer training ranks the other way round"),
        (
            {"ranking": GOOD, "bars": {"MACs": (GOOD, tau(0.1, -0.2, 0.3))}},
            "something: longer training ranks as it does beyond chance, though MACs alone may rank as well",
        ),
        ({"ranking": GOOD, "bars": {"MACs": (GOOD, tau(-0.3, -0.5, -0.1))}}, "but MACs alone would have ranked better"),
        (
            {"ranking": GOOD, "bars": {"MACs": (GOOD, tau(0.3, 0.1, 0.5))}},
            "and better than MACs alone",
        ),
        # A ranking that agrees with longer training is no noise, whatever seeds do.
        ({"noise": sd(0.2), "spread": sd(0.1), "ranking": GOOD}, "worth something"),
    ],
)
def test_the_sentence_agrees_with_the_figures(found: dict[str, object], words: str) -> None:
    assert words in sentence(dataclasses.replace(BARE, **found), "b0", "more")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-0.1, 0.2, "not distinguishable from b0"), (0.1, 0.2, "better than b0"), (-0.2, -0.1, "worse than b0")],
)
def test_the_winner_is_judged_by_its_interval(low: float, high: float, words: str) -> None:
    difference = Difference(mean=(low + high) / 2, standard_error=0.1, low=low, high=high)
    assert words in sentence(dataclasses.replace(BARE, differences={"the reference": difference}), "b0", "more")


def test_how_to_measure_more_is_said_until_nothing_is_left_to_measure() -> None:
    difference = Difference(mean=0.15, standard_error=0.1, low=0.1, high=0.2)
    ranked = dataclasses.replace(BARE, ranking=GOOD)
    compared = dataclasses.replace(BARE, differences={"the reference": difference})
    assert sentence(ranked, "b0", "more").endswith(" (more).")
    assert sentence(compared, "b0", "more").endswith(" (more).")
    assert "more)" not in sentence(dataclasses.replace(compared, ranking=GOOD), "b0", "more")


def simulate(run: int, *, tau: float, noise: float, budget: float | None = None) -> str:
    """The sentence on a run of 32 networks whose costs differ by 3 and whose rewards share it, as in a real search.

    Args:
        run: Seed.
        tau: True rank correlation of the networks' short with their long accuracies.
        noise: Standard deviation of a long accuracy over seeds, points.
        budget: In trainings of the search; None for enough.
    """
    generator = np.random.default_rng(run)
    macs = np.exp(generator.uniform(np.log(200e6), np.log(600e6), 32)).astype(int)
    rho = math.sin(math.pi / 2 * tau)
    short = generator.standard_normal(32)
    true = rho * short + math.sqrt(1 - rho**2) * generator.standard_normal(32)
    searched = Searched(
        accuracies=list(0.7 + 0.01 * short),
        rewards=list((0.7 + 0.01 * short) * (macs / 400e6) ** -0.07),
        free={"the number of parameters": list(generator.permutation(32)), "MACs": [int(m) for m in macs]},
    )
    winner = int(np.argmax(searched.rewards))
    units = enough(searched.accuracies, searched.rewards, winner) if budget is None else budget
    assert units is not None
    plan = make_plan(searched.accuracies, searched.rewards, units, winner)
    results: dict[Tokens, float] = {}
    for place, length, seed in plan.proposals():
        known = (0.75 + 0.01 * true[place - 1]) if place != REFERENCE_CANDIDATE else 0.75
        mean = known if length == LONG else searched.accuracies[place - 1]
        results[place, length, seed] = mean + noise / 100 * generator.standard_normal()
    return sentence(figures(plan, results, searched, run), "b0", "more")


@pytest.mark.parametrize(
    ("noise", "budget"), [(0.0, None), (0.5, None), (1.0, None), (2.0, None), (1.0, 6.4), (1.0, 32.0), (0.0, 60.0)]
)
def test_rankings_that_know_nothing_are_not_certified(noise: float, budget: float | None) -> None:
    said = [simulate(run, tau=0.0, noise=noise, budget=budget) for run in range(200)]
    assert sum("worth something" in text for text in said) <= 10


def test_rankings_that_know_something_are_recognised() -> None:
    said = [simulate(run, tau=0.6, noise=0.0) for run in range(200)]
    assert sum("worth something: longer training" in text for text in said) >= 180


def test_networks_that_only_seeds_tell_apart_are_not_certified_by_a_small_budget() -> None:
    """All of a run's accuracies are one accuracy and a seed's noise."""
    said = []
    for run in range(200):
        generator = np.random.default_rng(run)
        accuracies = list(0.7 + 0.01 * generator.standard_normal(32))
        searched = Searched(accuracies=accuracies, rewards=accuracies, free={"MACs": [1] * 32})
        plan = make_plan(accuracies, accuracies, 6.4, int(np.argmax(accuracies)))
        results = {tokens: 0.7 + 0.01 * generator.standard_normal() for tokens in plan.proposals()}
        said.append(sentence(figures(plan, results, searched, run), "b0", "more"))
    assert sum("worth something" in text for text in said) <= 10
