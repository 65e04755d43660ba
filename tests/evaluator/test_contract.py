"""What every registered evaluator keeps; a new one is tested by its line in the registry."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from evaluator.base import Evaluator
from evaluator.registry import EVALUATORS
from search_space.errors import InputError
from search_space.io import named, schema

CLASSES: dict[str, type[Evaluator[Any]]] = {
    name: named.load_object("evaluator", name, EVALUATORS)[0] for name in EVALUATORS
}
PRESETS = [(name, preset) for name, cls in CLASSES.items() for preset in cls.presets]


@pytest.mark.parametrize("name", EVALUATORS)
def test_it_has_a_default_and_evaluates_as_the_base_class_says(name: str) -> None:
    cls = CLASSES[name]
    assert issubclass(cls, Evaluator)
    assert "default" in cls.presets
    assert cls.argument is None or cls.argument in {field.name for field in dataclasses.fields(cls.Config)}
    inspect.signature(cls.evaluate).bind(None, None, 0, fidelity=2)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_plain_data_and_reads_back(name: str, preset: str) -> None:
    config = CLASSES[name].presets[preset]
    assert isinstance(config, CLASSES[name].Config)
    assert schema.from_mapping(CLASSES[name].Config, schema.to_plain(config), name) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, None)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_what_it_says_of_itself_is_of_the_kind_that_is_asked_for(name: str, preset: str) -> None:
    cls, config = CLASSES[name], CLASSES[name].presets[preset]
    assert isinstance(cls.caveat(config), str)
    assert "\n" not in cls.caveat(config)
    limit = cls.time_limit(config)
    assert limit is None or limit > 0
    assert isinstance(cls.wants_gpu(config), bool)
    assert cls.images(config).keys() <= {"data", "resolution", "mirror", "device"}
    assert isinstance(cls.scaled_from(config, 224), cls.Config)
    assert isinstance(cls.with_seed(config, 3), cls.Config)


@pytest.mark.parametrize("name", EVALUATORS)
def test_what_it_cannot_do_it_refuses_as_a_users_mistake(name: str, tmp_path: Path) -> None:
    cls = CLASSES[name]
    for ask in (lambda config: cls.keeping(config, tmp_path), lambda config: cls.with_noise(config, 0.01)):
        try:
            assert isinstance(ask(cls.presets["default"]), cls.Config)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is allowed
