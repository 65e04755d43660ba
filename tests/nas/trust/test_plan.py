import pytest

from nas.trust.plan import (
    LONG,
    MOST_SEEDS,
    REFERENCE_CANDIDATE,
    SHORT,
    competitors,
    cost,
    enough,
    make_plan,
    order_by,
    seed_of,
    spread,
)

REWARDS = [0.1 * ((7 * i) % 32) for i in range(32)]  # distinct
ACCURACIES = [0.1 * ((11 * i) % 32) for i in range(32)]
BEST = 9  # 7 * 9 is 31 modulo 32


def test_a_budget_is_never_exceeded_and_parts_come_in_order_of_importance() -> None:
    reached = []
    for units in range(0, 400):
        plan = make_plan(ACCURACIES, REWARDS, units, BEST)
        assert cost(plan.proposals()) <= units
        assert len(set(plan.proposals())) == len(plan.proposals())
        reached.append([bool(p) for p in (plan.noise, plan.longer, plan.finalists)])
    assert reached[0] == reached[3] == [False] * 3
    assert reached[4] == [True, False, False]
    assert reached[28][:2] == [True, True]
    assert reached[-1] == [True] * 3


@pytest.mark.parametrize(
    ("units", "sizes"),
    # Noise, longer, finalists, seeds: shares of 15 %, half and 35 %, at most 12, 30 and 20 trainings; what is left
    # goes into noise.
    [(10, (10, 0, 0, 0)), (27, (12, 0, 0, 0)), (60, (12, 7, 0, 0)), (200, (12, 25, 4, 4)), (400, (12, 30, 4, 5))],
)
def test_parts_by_hand(units: int, sizes: tuple[int, ...]) -> None:
    plan = make_plan(ACCURACIES, REWARDS, units, BEST)
    assert (len(plan.noise), len(plan.longer), len(plan.finalists), plan.seeds) == sizes


def test_the_better_half_competes_and_four_at_least() -> None:
    assert [len(competitors(REWARDS[:n])) for n in (3, 5, 8, 9, 32)] == [3, 4, 4, 5, 16]
    assert competitors([0.1, 0.5, 0.3, 0.2, 0.4]) == [2, 5, 3, 4]
    few = make_plan(ACCURACIES[:8], REWARDS[:8], 1000, 0)
    assert (len(few.noise), len(few.longer)) == (4, 8)


def test_what_is_trained() -> None:
    plan = make_plan(ACCURACIES, REWARDS, 200, BEST)
    best = 1 + BEST
    assert best == plan.noise[0] == plan.finalists[0]
    assert set(plan.noise) <= set(competitors(REWARDS))
    assert (plan.longer[0], plan.longer[-1]) == (order_by(ACCURACIES)[0], order_by(ACCURACIES)[-1])
    assert plan.finalists[-1] == REFERENCE_CANDIDATE
    assert plan.seeds >= 3
    proposals = plan.proposals()
    assert proposals[0] == (plan.noise[0], SHORT, seed_of(plan.noise[0]))
    for places, length in ((plan.noise, SHORT), (plan.longer, LONG)):
        assert (
            len({seed_of(place) for place in places}) >= MOST_SEEDS - 1
        )  # the luck of one would pass for what alike networks are worth
        assert {(place, length, seed_of(place)) for place in places} <= set(proposals)
    assert (best, LONG, plan.seeds) in proposals
    finals = [(place, LONG, seed) for place in plan.finalists for seed in range(1, plan.seeds + 1)]
    # A long training serves the correlation and the final where both ask for it.
    assert all(proposals.count(final) == 1 for final in finals)


def test_finals_of_a_small_budget_are_between_the_winner_and_the_reference() -> None:
    sizes = {len(make_plan(ACCURACIES, REWARDS, units, BEST).finalists) for units in range(60, 400)}
    assert sizes <= {0, 2, 3, 4}
    assert 4 in sizes


def test_the_winner_of_a_search_that_trained_some_on_need_not_have_the_highest_reward() -> None:
    plan = make_plan(ACCURACIES, REWARDS, 400, 4)
    assert plan.finalists[:2] == (5, 1 + BEST)
    assert len(set(plan.finalists)) == len(plan.finalists)


def test_few_networks_are_not_asked_for_more_than_there_are() -> None:
    plan = make_plan([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 1000, 2)
    assert (plan.noise, plan.longer) == ((), ())  # fewer than the least that says anything
    assert enough([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 2) is None


def test_enough_reaches_every_part_with_networks_enough() -> None:
    units = enough(ACCURACIES, REWARDS, BEST)
    assert units is not None
    plan = make_plan(ACCURACIES, REWARDS, units, BEST)
    assert len(plan.longer) >= 16
    assert plan.noise
    assert plan.finalists
    assert units < 200


@pytest.mark.parametrize(("number", "expected"), [(0, []), (1, [5]), (2, [5, 1]), (3, [5, 3, 1])])
def test_spread(number: int, expected: list[int]) -> None:
    assert spread([5, 4, 3, 2, 1], number) == expected


def test_cost_counts_longer_trainings_fourfold() -> None:
    assert cost([(1, SHORT, 1), (2, LONG, 1), (3, LONG, 2)]) == 9
