from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nas import config
from nas.config import SearchConfig
from nas.runs.final import check, evaluator_in_full, has_random, trainings
from search_space.errors import InputError


def settings(**more: Any) -> SearchConfig:
    return config.resolve([{"target_flops": "3M", "final": 2, **more}])


def test_what_no_final_can_be_held_of() -> None:
    check(settings())
    check(settings(final=None, evaluator="imagenet"))
    with pytest.raises(InputError, match="--final 2: evaluator imagenet trains nothing, so a final would compare"):
        check(settings(evaluator="imagenet"))
    with pytest.raises(InputError, match="--final 9: must be at most the number of trials, 8"):
        check(settings(final=9, trials=8))
    check(settings(final=9, trials=8, time="1h"))  # a plan may have had time for no more
    for name, value, least in (("final", 0, 1), ("final_seeds", 1, 2), ("final_longer", 0, 1)):
        with pytest.raises(InputError, match=f"{name} must be at least {least}, got {value}"):
            settings(**{name: value})


def test_the_networks_themselves_are_trained_at_their_size() -> None:
    small = {"data": "digits", "resolution": 16, "width": 0.3, "unstrided": 2, "max_images": 900, "split_seed": 3}
    sized = dataclasses.replace(settings(evaluator=small), resolution=24, classes=10)
    _, full = evaluator_in_full(sized, {"classes": 10})
    assert (full.resolution, full.width, full.unstrided, full.keep) == (24, 1.0, 0, None)
    assert full.base_resolution == 24
    assert (full.split_seed, full.max_images) == (4, 900)  # other images are held out, of the same number
    assert full.timeout == 24 * 3600
    # For networks that the images only stand in for, the images stay as small as they are, and so do the strides.
    _, demo = evaluator_in_full(dataclasses.replace(sized, resolution=224, classes=1000), {"classes": 10})
    assert (demo.resolution, demo.width, demo.unstrided) == (16, 1.0, 2)
    cls, own = evaluator_in_full(settings(evaluator="tests.toys:ToyEvaluator"), {})
    assert own == cls.Config()


def test_what_it_costs() -> None:
    sized = dataclasses.replace(settings(final_seeds=3), resolution=32, classes=10)
    assert trainings(sized) == (((2 + 3 + 1) * 3 + 1) * 4, 1.0)
    assert trainings(settings()) == (((2 + 1 + 1) * 5 + 1) * 4, 1.0)
    assert trainings(settings(controller="random")) == (((2 + 1) * 5 + 1) * 4, 0.0)
    assert not has_random(settings(controller="random"))
    assert trainings(settings(final=None)) == (0.0, 0.0)


def test_what_inherits_is_set_beside_the_checkpoint_and_no_random_search() -> None:
    evaluator = {"name": "proxy", "data": "digits", "inherit": "w.safetensors", "parent": "efficientnet-b0"}
    sized = settings(evaluator=evaluator, final_seeds=3, target_flops="10M")
    sized = dataclasses.replace(sized, resolution=64, classes=10)
    assert not has_random(sized)
    assert trainings(sized) == (((2 + 2) * 3 + 1) * 4, 0.0)  # at a smaller width, and on smaller images
    _, full = evaluator_in_full(sized, {"classes": 10})
    assert (full.inherit, full.parent) == ("w.safetensors", "efficientnet-b0")
    assert (full.resolution, full.base_resolution) == (64, 64)  # smaller images are smaller
