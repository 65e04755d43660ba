import dataclasses

import numpy as np
import pytest

from nas.statistics import Difference, RankCorrelation
from nas.trust.finding import TrustFigures, figures, lines, sentence
from nas.trust.plan import LONG, SHORT, Plan
from search_space.decision import Tokens

PLAN = Plan(noise=(1, 2, 3), longer=(1, 2, 3, 4), control=(5, 6), finalists=(4, 3, 0), seeds=3)
REWARDS, PARAMS = [0.1, 0.2, 0.3, 0.4], [4, 3, 2, 1]
RESULTS: dict[Tokens, float] = {
    (1, SHORT, 1): 0.15,  # shifts of .05, .05 and .08: their deviation is .01 * sqrt 3, the noise that over sqrt 2
    (2, SHORT, 1): 0.25,
    (3, SHORT, 1): 0.38,
    **{(place, LONG, 1): 0.1 * place + 0.4 for place in (1, 2, 3, 4)},
    (5, SHORT, 1): 0.05,
    (6, SHORT, 1): 0.12,
    (0, LONG, 1): 0.6,
    **{(4, LONG, s): 0.8 + 0.001 * s for s in (2, 3)},
    **{(3, LONG, s): 0.7 - 0.001 * s for s in (2, 3)},
    **{(0, LONG, s): 0.6 + 0.002 * s for s in (2, 3)},
}


def agree(tau: float, low: float) -> RankCorrelation:
    return RankCorrelation(tau=tau, low=low, high=1.0, networks=10)


BARE = TrustFigures(noise=None, spread=0.1, ranking=None, params=None, control=None, differences={})


def test_figures_by_hand() -> None:
    finding = figures(PLAN, RESULTS, REWARDS, PARAMS, seed=0)
    assert finding.noise == pytest.approx(0.01 * 3**0.5 / 2**0.5)
    assert finding.spread == pytest.approx(np.std(REWARDS, ddof=1))
    assert finding.ranking is not None
    assert finding.params is not None
    assert [finding.ranking.tau, finding.params.tau] == pytest.approx([1, -1])
    assert finding.control == (0.12, 0.2, 2)
    assert finding.differences["the reference"].mean == pytest.approx((0.2 + 0.198 + 0.197) / 3)
    assert list(finding.differences) == ["runner-up 1", "the reference"]
    text = lines(finding, "b0", "more")
    assert len(text) == 6
    assert "Winner minus b0, trained longer: +0.1983" in text[-2]
    assert text[-1].endswith("its winner is better than b0.")


def test_what_is_not_finished_is_left_out() -> None:
    some = {tokens: reward for tokens, reward in RESULTS.items() if tokens not in ((0, LONG, 3), (6, SHORT, 1))}
    finding = figures(PLAN, some, REWARDS, PARAMS, seed=0)
    assert finding.control == (0.05, 0.1, 1)
    assert finding.differences["the reference"].mean == pytest.approx((0.2 + 0.198) / 2)
    nothing = figures(PLAN, {}, REWARDS, PARAMS, seed=0)
    assert nothing == dataclasses.replace(BARE, spread=nothing.spread)
    assert lines(nothing, "b0", "more") == [sentence(nothing, "b0", "more")]


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        ({}, "which was not measured (to measure more: more)."),
        ({"noise": 0.09}, "worth little: its ranking is noise"),
        ({"noise": 0.02}, "something only if longer training agrees"),
        (
            {"ranking": agree(0.3, -0.1), "params": agree(0.1, -0.2)},
            "worth nothing that could be shown: as far as measured its ranking is noise",
        ),
        ({"ranking": agree(0.3, 0.1), "params": agree(0.5, 0.3)}, "less than counting parameters"),
        ({"ranking": agree(0.6, 0.3), "params": agree(0.5, 0.3)}, "worth something: longer training ranks as it does"),
        # A ranking that agrees with longer training is no noise, whatever seeds do.
        ({"noise": 0.2, "ranking": agree(0.6, 0.3), "params": agree(0.5, 0.3)}, "worth something"),
    ],
)
def test_the_sentence_agrees_with_the_figures(finding: dict[str, object], words: str) -> None:
    assert words in sentence(dataclasses.replace(BARE, **finding), "b0", "more")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-0.1, 0.2, "not distinguishable from b0"), (0.1, 0.2, "better than b0"), (-0.2, -0.1, "worse than b0")],
)
def test_the_winner_is_judged_by_its_interval(low: float, high: float, words: str) -> None:
    difference = Difference(mean=(low + high) / 2, standard_error=0.1, low=low, high=high)
    assert words in sentence(dataclasses.replace(BARE, differences={"the reference": difference}), "b0", "more")
