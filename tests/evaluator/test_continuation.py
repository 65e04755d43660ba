import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluator.base import Evaluation
from evaluator.proxy import Proxy
from evaluator.proxy_config import ProxyConfig
from search_space.architecture import Architecture, Stage

SMALL = Architecture(
    stem=8, head=16, stages=(Stage(op="mbconv", expand=2, kernel=3, stride=2, channels=8, layers=2, se=0.25),)
)
QUICK = ProxyConfig(resolution=8, epochs=1, batch_size=32, max_images=300, width=1.0, device="cpu")


def at(folder: Path | None, epochs: int = 1) -> Proxy:
    return Proxy(dataclasses.replace(QUICK, keep=str(folder) if folder else None, epochs=epochs))


def timeless(evaluation: Evaluation) -> Evaluation:
    return dataclasses.replace(evaluation, seconds=0.0)


def state(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = folder.iterdir()
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["model"]
    return weights


def test_one_epoch_and_three_more_are_four_to_the_bit(tmp_path: Path) -> None:
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    first = at(parts).evaluate(SMALL, 5)
    continued = at(parts).evaluate(SMALL, 5, 4)
    assert timeless(continued) == timeless(at(whole).evaluate(SMALL, 5, 4))
    assert len(continued.curve) == 4
    assert continued.curve[0] == first.accuracy
    one, other = state(parts), state(whole)
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_it_really_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = at(tmp_path)
    proxy.evaluate(SMALL, 5)
    orders = []
    randperm = torch.randperm

    def counted(*arguments: Any, **keywords: Any) -> torch.Tensor:
        orders.append(arguments)
        return randperm(*arguments, **keywords)

    monkeypatch.setattr(torch, "randperm", counted)
    proxy.evaluate(SMALL, 5, 4)
    assert len(orders) == 3


def test_the_short_training_is_the_one_that_is_never_continued(tmp_path: Path) -> None:
    assert timeless(at(tmp_path, epochs=2).evaluate(SMALL, 1)) == timeless(at(None, epochs=2).evaluate(SMALL, 1))


def test_other_seeds_and_networks_do_not_meet_and_a_state_of_too_many_epochs_is_left_alone(tmp_path: Path) -> None:
    other = dataclasses.replace(SMALL, head=32)
    for architecture, seed in ((SMALL, 1), (SMALL, 2), (other, 1)):
        at(tmp_path).evaluate(architecture, seed)
    assert len(list(tmp_path.iterdir())) == 3
    at(tmp_path).evaluate(SMALL, 1, 3)
    assert timeless(at(tmp_path).evaluate(SMALL, 1)) == timeless(at(None).evaluate(SMALL, 1))


def test_nothing_is_kept_of_a_training_that_was_given_up(tmp_path: Path) -> None:
    proxy = Proxy(dataclasses.replace(QUICK, keep=str(tmp_path / "kept"), timeout=1e-6))
    assert proxy.evaluate(SMALL, 1).status == "timeout"
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 99])
def test_a_damaged_state_costs_time_and_changes_nothing(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    at(tmp_path).evaluate(SMALL, 1)
    (state,) = tmp_path.iterdir()
    state.write_bytes(damage(state.read_bytes()))
    assert timeless(at(tmp_path).evaluate(SMALL, 1, 2)) == timeless(at(tmp_path / "fresh").evaluate(SMALL, 1, 2))
