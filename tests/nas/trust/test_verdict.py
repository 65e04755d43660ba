from __future__ import annotations

import dataclasses
import io
from typing import Literal

from rich.console import Console

from evaluator.objective import Objective
from nas.history import Finalist
from nas.statistics import paired_difference
from nas.trust.verdict import conclude, sentence, table, title
from search_space.architecture import Architecture
from search_space.scaling import scale

V2, B0 = Architecture.load("mobilenet-v2"), Architecture.load("efficientnet-b0")
ACCURACY = Objective(target_macs=400_000_000, alpha=0.0, beta=0.0)
"""Cost counts for nothing."""
SEEDS = (0.000, 0.004, -0.003, 0.002, -0.001)
"""What a seed does to every network alike."""
OWN = (0.0005, -0.0005, 0.001, -0.001, 0.0)
"""And to one of them."""


def finalist(
    name: str, mean: float, role: Literal["found", "random", "reference"] = "reference", noise: float = 1.0
) -> Finalist:
    turn = sum(map(ord, name)) % 5
    own = (*OWN[turn:], *OWN[:turn])
    accuracies = tuple(mean + seed + noise * part for seed, part in zip(SEEDS, own, strict=True))
    return Finalist(name=name, role=role, network=V2 if role == "found" else B0, accuracies=accuracies)


FOUND, B, M = finalist("trial 18", 0.90, "found"), finalist("b0", 0.88), finalist("v2", 0.87)


def concluded(*finalists: Finalist) -> str:
    return conclude(24, finalists, ACCURACY, "").verdict


def test_a_winner_that_can_be_told_from_all() -> None:
    shown = []
    for other in (B, M):
        d = paired_difference(FOUND.accuracies, other.accuracies, 3)
        assert d.low > 0
        shown.append(f"{100 * d.mean:+.2f} points of accuracy, 95 % {100 * d.low:+.2f} to {100 * d.high:+.2f}")
    said = f"trial 18 is better than b0 ({shown[0]}) and v2 ({shown[1]}) at no more multiply-adds."
    assert concluded(M, FOUND, B) == said


def test_what_costs_more_is_not_said_to_cost_no_more() -> None:
    dear = Finalist(name="trial 18", role="found", network=scale(B0, 1.2, 1.0, 224), accuracies=FOUND.accuracies)
    assert "multiply-adds" not in concluded(dear, B, M)


def test_the_reward_decides_and_what_it_costs_in_accuracy_is_said() -> None:
    dear = Finalist(name="trial 3", role="found", network=scale(B0, 1.2, 1.0, 224), accuracies=FOUND.accuracies)
    cheap = finalist("best of 24 random networks", 0.89, "random")
    papers = Objective(target_macs=400_000_000)
    assert [f.name for f in conclude(24, [dear, FOUND], papers, "").finalists] == ["trial 18", "trial 3"]
    said = conclude(24, [dear, cheap], papers, "").verdict
    assert said.startswith(
        "We found nothing better: best of 24 random networks costs less for its accuracy than trial 3"
    )
    dearer = dataclasses.replace(dear, name="v3", role="random")
    said = conclude(24, [dearer, finalist("trial 18", 0.89, "found"), M], papers, "").verdict
    assert said.startswith("trial 18 is better than v2 (+2.0")
    assert "at no more multiply-adds, and less accurate than v3 (-1.0" in said
    assert said.endswith("whose reward is lower for what that costs.")


def test_a_winner_that_cannot_be_told_from_some_or_any() -> None:
    near = finalist("v2", 0.8999, noise=3.0)
    some = concluded(FOUND, B, near)
    assert some.startswith("trial 18 is better than b0 (+2.00 points of accuracy, 95 % ")
    assert ", and not distinguishable from v2 (+0.01 points of accuracy, 95 % -" in some
    none = concluded(FOUND, near)
    assert none.startswith("trial 18 is not distinguishable from v2 (+0.01 points of accuracy, 95 % -")


def test_a_reference_or_chance_that_wins() -> None:
    said = concluded(FOUND, finalist("b0", 0.93), M)
    assert said.startswith("We found nothing better: b0 is better than trial 18, the best that was found (+3.00 points")
    near = concluded(FOUND, finalist("best of 24 random networks", 0.9001, "random", 3.0))
    assert near.startswith("We found nothing better: best of 24 random networks is not distinguishable from trial 18, ")


def test_the_best_found_is_meant_whichever_trial_the_search_preferred() -> None:
    other = finalist("trial 3", 0.91, "found")
    assert concluded(FOUND, other, B).startswith("trial 3 is better than b0 ")
    assert "than trial 3, the best that was found" in concluded(FOUND, other, finalist("b0", 0.95))


def test_only_networks_of_the_search() -> None:
    assert concluded(FOUND, finalist("trial 3", 0.8, "found")) == (
        "trial 18 won, beside no other than networks of the same search."
    )


def test_more_networks_make_wider_intervals() -> None:
    def low(*others: Finalist) -> float:
        return float(sentence([FOUND, *others]).split("95 % ")[1].split()[0])

    assert low(B) > low(B, M) > low(B, M, finalist("a1", 0.86))


def test_at_chance_nothing_is_said() -> None:
    final = conclude(24, [FOUND, B], ACCURACY, "accuracies are those of guessing")
    assert final.verdict == "This final says nothing: accuracies are those of guessing."


def test_the_table_has_costs_means_and_intervals() -> None:
    final = conclude(24, [M, FOUND, B], ACCURACY, "")
    assert [finalist.name for finalist in final.finalists] == ["trial 18", "b0", "v2"]
    console = Console(file=io.StringIO(), width=120)
    console.print(table(final))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[1].split() == ["trial", "18", "300,774,272", "3,504,872", "90.04%", "+-", "0.12", "-"]
    d = paired_difference(FOUND.accuracies, B.accuracies, 3)
    assert lines[2].rstrip().endswith(f"{100 * d.mean:+.2f} [{100 * d.low:+.2f}, {100 * d.high:+.2f}]")
    assert title(final, 4).startswith("Final: 3 networks, trained 4 times longer on the same 5 seeds")
    assert "all 3 pairs at once" in title(final, 4)
