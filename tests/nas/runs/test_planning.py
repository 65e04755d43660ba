from __future__ import annotations

import dataclasses
import functools
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from evaluator.base import Evaluation, Evaluator
from nas import config
from nas.config import SearchConfig
from nas.runs import planning
from nas.runs.deployment import deployed, space_of
from nas.runs.planning import START_SECS, plan_search, with_batch
from nas.runs.time_plan import AIM, Plan, wall
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space
from search_space.errors import InputError
from search_space.scaling import miniature
from tests.toys import ToyEvaluator

MACS_A_SECOND = 1e11
"""Trained a second by `Priced`."""


@dataclass(frozen=True, kw_only=True)
class PricedConfig:
    data: str = "digits"
    resolution: int | None = None
    width: float = 0.5
    epochs: int = 5
    max_images: int | None = None
    timeout: float = 60.0
    device: str = "cpu"


class Priced(Evaluator[PricedConfig]):
    """Trains nothing: the time it would take goes by MACs, of a miniature unless it is told otherwise."""

    Config = PricedConfig
    presets: ClassVar[dict[str, Any]] = {"default": PricedConfig(), "longer": PricedConfig(epochs=50)}
    made: ClassVar[list[PricedConfig]] = []

    def __init__(self, config: PricedConfig) -> None:
        super().__init__(config)
        self.made.append(config)

    @classmethod
    def images(cls, config: PricedConfig) -> dict[str, Any]:
        return {"data": config.data, "resolution": config.resolution}

    @classmethod
    def deployed_as(cls, config: PricedConfig, resolution: int, macs: int) -> PricedConfig:
        return config if macs > 5_000_000 else dataclasses.replace(config, width=1.0, resolution=resolution)

    @classmethod
    def measured(cls, config: PricedConfig, architecture: Architecture) -> Architecture:
        return miniature(architecture, config.width, 0, architecture.resolution)

    def describe(self) -> dict[str, Any]:
        images = min(self.config.max_images or 100_000, 100_000)
        resolution, device = self.config.resolution or 16, self.config.device
        return {"train_images": images - 10, "validation_images": 10, "resolution": resolution, "device": device}

    def estimate(self, architecture: Architecture, seed: int) -> float:
        small = dataclasses.replace(self.measured(self.config, architecture), resolution=self.config.resolution or 16)
        return count(small).macs * self.config.epochs * min(self.config.max_images or 100_000, 100_000) / MACS_A_SECOND

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        raise AssertionError("a whole trial is never run")


class Untimed(ToyEvaluator):
    is_lookup = False


PRICED = f"{__name__}:Priced"


def planned(workers: int = 1, trust: float = 0.2, **said: Any) -> tuple[SearchConfig, Plan]:
    said = {"target_flops": "40M", "time": "30m", **said}
    said["evaluator"] = {"name": PRICED, "data": "digits", **said.get("evaluator", {})}
    settings = deployed(config.resolve([said]), [said])
    space = laid_out(settings.target_flops, settings.resolution)
    return plan_search(settings, space, [said], workers, trust, time.monotonic())


@functools.cache
def laid_out(target: int, resolution: int) -> Space:
    return space_of(config.resolve([{"target_flops": str(target), "resolution": resolution, "classes": 10}]))


def test_what_is_not_said_is_planned_and_stands_in_the_config() -> None:
    settings, plan = planned()
    evaluator = settings.evaluator.settings
    assert settings.trials == plan.trials >= 3
    assert (evaluator["epochs"], evaluator["max_images"]) == (plan.epochs, plan.images)
    assert plan.images < 100_000
    assert abs(plan.started - time.time()) < 600
    assert evaluator["timeout"] == max(60.0, 5 * plan.seconds)
    assert wall(plan.trials * 1.2 + 1, plan.seconds, 1) <= AIM * 1800


def test_what_is_said_stands() -> None:
    settings, plan = planned(trials=5, batch=3, evaluator={"epochs": 2, "max_images": 500})
    assert (settings.trials, settings.batch, plan.open) == (5, 3, False)
    assert (settings.evaluator.settings["epochs"], settings.evaluator.settings["max_images"]) == (2, 500)
    settings, _ = planned(evaluator={"preset": "longer"})
    assert settings.evaluator.settings["epochs"] == 50


def test_networks_are_trained_as_they_are_deployed_where_time_allows() -> None:
    small, _ = planned(resolution=16, time="3m")
    full, plan = planned(resolution=16, time="30m")
    assert (small.evaluator.settings["width"], full.evaluator.settings["width"]) == (0.5, 1.0)
    assert plan.trials >= planning.ENOUGH_FULL
    asked, _ = planned(resolution=16, time="30m", evaluator={"width": 0.5})
    assert asked.evaluator.settings["width"] == 1.0  # this evaluator's own rule
    few, plan = planned(resolution=16, time="4m", trials=8)
    assert (few.evaluator.settings["width"], plan.trials) == (1.0, 8)


def test_images_are_not_read_at_another_size_for_nothing() -> None:
    Priced.made.clear()
    settings, _ = planned(resolution=96, time="3m")
    assert settings.evaluator.settings["resolution"] is None
    assert {made.resolution for made in Priced.made} == {None}
    settings, _ = planned(resolution=96, time="20h")
    assert settings.evaluator.settings["resolution"] == 96
    Priced.made.clear()
    planned(resolution=96, time="3m", evaluator={"device": "some GPU"})  # on which MACs say little
    assert {made.resolution for made in Priced.made} == {None, 96}


def test_workers_cost_their_start_and_fill_batches() -> None:
    one, four = planned(trials=3), planned(workers=4, trials=3)
    assert (one[0].batch, four[0].batch) == (4, 4)
    assert planned(workers=6)[0].batch == 6
    assert planned(workers=6, batch=5)[0].batch == 5
    with pytest.raises(InputError, match=r"--time 5s is too short for 3 trainings .* on 2 workers"):
        planned(workers=2, time="5s", target_flops="1M", resolution=16)
    assert START_SECS > 5
    assert with_batch(one[0], [{"batch": 4}], 6).batch == 4


def test_an_evaluator_with_trainings_of_one_length() -> None:
    settings, plan = _toy()
    assert (plan.epochs, plan.images) == (1, 1)
    assert settings.trials == plan.trials
    assert settings.evaluator == config.resolve([{"target_flops": "400M", "evaluator": TOY}]).evaluator


TOY = "tests.toys:LookedUp"


def _toy(evaluator: str = TOY, **more: Any) -> tuple[SearchConfig, Plan]:
    said = {"target_flops": "400M", "time": "1m", "evaluator": evaluator, **more}
    settings = config.resolve([said])
    return plan_search(settings, space_of(settings), [said], 1, 0.0, time.monotonic())


def test_an_evaluator_that_cannot_tell_its_time_needs_to_be_told_the_trials() -> None:
    with pytest.raises(InputError, match=r"--time: evaluator .*Untimed cannot tell .*; say --trials as well"):
        _toy(f"{__name__}:Untimed")
    settings, plan = _toy(f"{__name__}:Untimed", trials=50)
    assert (settings.trials, plan.trials, plan.open) == (50, 50, False)


def test_the_final_and_the_known_networks_are_part_of_the_time() -> None:
    without, with_final = (planned(resolution=16, final=final)[1] for final in (None, 2))
    trainings = 2.2 * with_final.trials + with_final.reserve.trainings(0)
    assert wall(trainings, with_final.seconds, 1) <= AIM * 1800
    assert with_final.seconds < without.seconds  # there is less time for each
    assert (without.reserve.final, without.reserve.final_share) == (0, 0)
    assert with_final.reserve.final_share == 1  # a random search of equal cost
    assert with_final.reserve.final >= (2 + 3 + 1) * 5 * 4
    assert with_final.reserve.reference == without.reserve.reference == 6  # on few pixels twice each


def test_weights_that_networks_share_are_trained_in_the_time() -> None:
    whole, half = planned(resolution=16, time="20m")[1], planned(resolution=16, time="30m", share="10m")[1]
    assert half.trials * half.seconds == pytest.approx(whole.trials * whole.seconds, rel=0.1)
