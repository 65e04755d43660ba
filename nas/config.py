"""The configuration of a search: defaults, then a YAML file, then flags; typed and checked before any work."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import Any

from controller.registry import CONTROLLERS
from evaluator.objective import Objective
from evaluator.registry import EVALUATORS
from nas.amounts import parse_amount
from search_space import named, schema, strict_yaml
from search_space.errors import InputError

FORMAT = "nas-search/1"
_REGISTRIES = {"controller": CONTROLLERS, "evaluator": EVALUATORS}
_SHORT = {"controller": "name", "evaluator": "name", "objective": "kind"}  # what a bare word in place of a mapping is
_DEFAULTS = {"controller": {"name": "reinforce"}, "evaluator": {"name": "proxy"}, "objective": {"kind": "soft"}}


@dataclass(frozen=True, kw_only=True)
class Component:
    """A controller or evaluator by name, with its settings in full."""

    name: str
    """A registered name or ``package.module:Class``."""
    preset: str = "default"
    """The named settings that `settings` started from."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Every field of the class's `Config`."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Everything that decides what a search does; saved with it."""

    target_flops: int
    """The budget: multiply-adds at the deployment resolution, e.g. 400M."""
    space: str = "efficientnet"
    """A space's name, YAML file or ``package.module:OBJECT``."""
    controller: Component
    """What proposes networks and learns from their rewards."""
    evaluator: Component
    """What measures a network's accuracy."""
    objective: Objective
    """Accuracy and MACs to reward; its target is `target_flops`."""
    trials: int = 32
    """Networks to propose; a network proposed again counts but is not trained again."""
    batch: int = 8
    """Trials the controller proposes and learns from at a time."""
    seed: int = 0
    """Root of all randomness."""
    band: tuple[float, float] | None = (0.5, 1.5)
    """MACs that may be proposed, as multiples of the target; null for no limit."""
    top: int = 5
    """How many of the best networks are exported."""

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("batch", 1), ("seed", 0), ("top", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.band is not None and not 0 <= self.band[0] < self.band[1]:
            raise InputError(f"band must be two rising numbers from 0, got {list(self.band)}")


def resolve(layers: Sequence[Mapping[str, Any]]) -> SearchConfig:
    """Merge layers of settings, later ones over earlier ones, into a checked config.

    Args:
        layers: Nested settings, as `read` and `parse_setting` give them.

    Raises:
        InputError: Unknown keys or names, wrong types or values; the line names the dotted field.
    """
    merged: dict[str, Any] = dict(_DEFAULTS)
    for layer in layers:
        _merge(merged, layer)
    if merged.get("target_flops") is None:
        raise InputError("target_flops: missing; say what one image may cost, e.g. --target-flops 400M")
    merged["target_flops"] = target = parse_amount(str(merged["target_flops"]), "target_flops")
    merged["objective"] |= {"target_macs": target}
    for kind in _REGISTRIES:
        merged[kind] = _component(kind, merged[kind])
    return schema.from_mapping(SearchConfig, merged, "config")


def read(path: str) -> dict[str, Any]:
    """The settings of a config file, or of an installed one by name.

    Raises:
        InputError: No such file, not YAML, or not a config.
    """
    text, source = named.read_config("config", "runs", path)
    document = strict_yaml.load(text, source)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise InputError(f"{source}: not a search config: its first key must be format: {FORMAT}")
    unknown = [key for key in document if key not in {f.name for f in fields(SearchConfig)}]
    if unknown:
        raise InputError(f"{source}: {named.unknown('key', unknown[0], [f.name for f in fields(SearchConfig)], '')}")
    return document


def parse_setting(text: str) -> dict[str, Any]:
    """``evaluator.epochs=5`` as nested settings.

    Raises:
        InputError: No ``=``, or no name before it.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise InputError(f"--set {text}: write it as name=value, e.g. --set evaluator.epochs=5")
    nested: Any = strict_yaml.load(value, f"--set {path}")
    for part in reversed(path.split(".")):
        nested = {part: nested}
    result: dict[str, Any] = nested
    return result


def to_yaml(config: SearchConfig) -> str:
    """The resolved config as a file that `read` takes."""
    return strict_yaml.dump({"format": FORMAT, **to_plain(config)})


def to_plain(config: SearchConfig) -> dict[str, Any]:
    """The resolved config as plain data, component settings beside their names."""
    plain: dict[str, Any] = schema.to_plain(config)
    del plain["objective"]["target_macs"]
    for kind in _REGISTRIES:
        plain[kind] |= plain[kind].pop("settings")
    return plain


def make(kind: str, component: Component) -> tuple[Any, Any]:
    """The class of a component and its typed config.

    Raises:
        InputError: Unknown name or settings.
    """
    cls, _ = named.load_object(kind, component.name, _REGISTRIES[kind])
    return cls, schema.from_mapping(cls.Config, component.settings, kind)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    packages = {name: metadata.version(name) for name in ("nas-b0", "torch", "numpy")}
    return {"python": platform.python_version(), **packages, "machine": platform.machine()}


def _component(kind: str, data: Mapping[str, Any]) -> Component:
    """Resolve a component's preset and settings; the class's own Config checks them."""
    data = dict(data)
    spec, preset = str(data.pop("name")), str(data.pop("preset", "default"))
    cls, argument = named.load_object(kind, spec, _REGISTRIES[kind])
    name = spec
    if argument is not None:
        # `table:scores.csv` is short for name `table`, path `scores.csv`.
        name, data = spec.partition(":")[0], {"path": argument, **data}
    if preset not in cls.presets:
        raise InputError(named.unknown(f"preset of {kind} {name}", preset, cls.presets, "settings of your own"))
    settings = {**schema.to_plain(cls.presets[preset]), **data}
    config = schema.from_mapping(cls.Config, settings, f"{kind} {name}")
    return Component(name=name, preset=preset, settings=schema.to_plain(config))


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Lay `layer` over `base` in place; a component named anew forgets the settings of the one before."""
    for key, value in layer.items():
        if key not in _SHORT:
            base[key] = value
            continue
        new = dict(value) if isinstance(value, Mapping) else {_SHORT[key]: value}
        if new.get(_SHORT[key], base[key][_SHORT[key]]) != base[key][_SHORT[key]]:
            base[key] = new
        elif "preset" in new:
            base[key] = {_SHORT[key]: base[key][_SHORT[key]], **new}
        else:
            base[key] = {**base[key], **new}


def differences(before: SearchConfig, after: SearchConfig) -> list[str]:
    """The settings in which two searches differ in what they find; more trials or exports are the same search."""
    old, new = _flat(to_plain(before)), _flat(to_plain(after))
    names = sorted({*old, *new} - {"trials", "top"})
    return [f"{name} {old.get(name)}, not {new.get(name)}" for name in names if old.get(name) != new.get(name)]


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
