from collections.abc import Sequence
from typing import Any

from controller.base import Outcome, Problem
from controller.random_search import RandomConfig, RandomSearch
from controller.screened import Screened, unscreened
from search_space.decision import Decision, Tokens

DECISIONS = tuple(Decision(name=f"d{i}", choices=tuple("abcde")) for i in range(3))


def problem(choices: Sequence[Decision] = DECISIONS) -> Problem:
    return Problem(
        decisions=tuple(choices),
        reward=lambda tokens, accuracy: accuracy,
        network=lambda tokens: str(tokens),
        admissible=lambda tokens: True,
    )


def score(tokens: Tokens) -> float:
    return float(sum(tokens))


def make(ratio: int = 5, **arguments: Any) -> Screened:
    return Screened(RandomSearch(problem(**arguments), RandomConfig(), 0), score, ratio)


def test_the_best_of_five_times_as_many_and_some_of_the_others() -> None:
    proposals = make().inner.ask(0, 50)
    batch = make().ask(0, 10)
    assert len(set(batch)) == 10
    assert batch[:8] == sorted(proposals, key=score, reverse=True)[:8]
    turned_down = sorted(proposals, key=score, reverse=True)[8:]
    assert all(tokens in turned_down for tokens in batch[8:])
    # Drawn from all that were turned down, not only from the next best.
    drawn = {tokens for k in range(20) for tokens in make().ask(k, 10)[8:]}
    assert min(map(score, drawn)) < 4


def test_asking_again_gives_the_same_and_another_batch_another() -> None:
    screened = make()
    assert screened.ask(3, 10) == screened.ask(3, 10) != screened.ask(4, 10)


def test_the_inner_strategy_learns_and_both_sides_of_the_screen_are_reported() -> None:
    screened = make()
    batch = screened.ask(0, 10)
    outcomes = [Outcome(tokens=tokens, reward=score(tokens), accuracy=0.5) for tokens in batch]
    signals = screened.tell(outcomes)
    assert signals["screened_reward"] == sum(map(score, batch[:8])) / 8
    assert signals["unscreened_reward"] == sum(map(score, batch[8:])) / 2
    assert signals["screened_reward"] > signals["unscreened_reward"]
    assert "repeats" in signals
    assert not set(screened.ask(1, 10)) & set(batch)


def test_shares_of_small_batches() -> None:
    assert [unscreened(count) for count in (1, 2, 5, 6, 10)] == [0, 1, 1, 2, 2]
    assert "unscreened_reward" not in make().tell([Outcome(tokens=(0, 0, 0), reward=1.0, accuracy=1.0)])
    assert make().ask(0, 1) == [max(make().inner.ask(0, 5), key=score)]


def test_a_strategy_that_has_run_out_is_not_screened() -> None:
    class Few(RandomSearch):
        def ask(self, batch: int, count: int) -> list[Tokens]:
            return [(0, 0, 0)]

    assert Screened(Few(problem(), RandomConfig(), 0), score, 5).ask(0, 4) == [(0, 0, 0)]
