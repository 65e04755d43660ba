"""The configuration of a search: defaults, then a YAML file, then flags; typed and checked before any work."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import Any, ClassVar

from controller.base import Controller
from controller.registry import CONTROLLERS
from evaluator.function import as_evaluator_class
from evaluator.objective import Objective, with_exponent
from evaluator.registry import EVALUATORS, EXTERNAL
from search_space.errors import InputError
from search_space.fitting import check_resolution
from search_space.io import named, schema, strict_yaml
from search_space.io.amounts import parse_amount, parse_seconds, parse_seconds_of

REGISTRIES = {"controller": CONTROLLERS, "evaluator": EVALUATORS | EXTERNAL}
TOLD = "external"
"""The evaluator of a run whose results are told: it finds none."""
_SHORT = {"controller": "name", "evaluator": "name", "objective": "kind"}  # what a bare word in place of a mapping is
_DEFAULTS = {"controller": {"name": "guided"}, "evaluator": {"name": "proxy"}, "objective": {"kind": "soft"}}


@dataclass(frozen=True, kw_only=True)
class Component:
    """A controller or evaluator by name, with its settings in full."""

    name: str
    """A registered name or ``package.module:Class``."""
    preset: str = "default"
    """The named settings that `settings` started from."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Every field of the class's `Config`."""


class RunConfig:
    """What a journaled command's config says of itself; subclasses are frozen dataclasses."""

    FORMAT: ClassVar[str]
    """First key of its YAML."""
    FREE: ClassVar[frozenset[str]]
    """Settings that may change when a run goes on: they add to its results and change none."""


_LEAST = {"seed": 0, "promote": 2, "final_seeds": 2}
_LEAST |= dict.fromkeys(("trials", "batch", "top", "classes", "time", "share", "final", "final_longer"), 1)


@dataclass(frozen=True, kw_only=True)
class SearchConfig(RunConfig):
    """Everything that decides what a search does; saved with it."""

    FORMAT: ClassVar[str] = "nas-search/1"
    FREE: ClassVar[frozenset[str]] = frozenset({"trials", "top", "time", "final", "final_seeds"})

    target_flops: int
    """The budget: multiply-adds at the deployment resolution, e.g. 400M."""
    resolution: int | None = None
    """Side of the images that the network will see, pixels; null for the data's own, or the space's."""
    classes: int | None = None
    """Classes that it will tell apart; null for the data's, or the space's."""
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
    time: float | None = None
    """Seconds that all the work on the run may take, over all its processes: ``20m`` in a file; null for no limit.
    Where it is given, what the user does not say of trials and trainings is planned (`nas.runs.time_plan`)."""
    batch: int = 4
    """Trials the controller proposes and learns from at a time; where nobody says, as many as keep workers busy."""
    seed: int = 0
    """Root of all randomness."""
    asynchronous: bool = False
    """Learn from trials as they finish, so that no worker waits; the same seed then no longer gives the same search."""
    band: tuple[float, float] | None = (0.5, 1.5)
    """MACs that may be proposed, as multiples of the target; null for no limit."""
    promote: int | None = None
    """How many times longer the best quarter of every batch is trained on, from where it was left; null for none."""
    share: float | None = None
    """Seconds for which weights that all share are trained first: ``10m``, or ``20%`` of `time`; null for none."""
    top: int = 5
    """How many of the best networks are exported."""
    final: int | None = None
    """How many of the best `nas-search` trains in full at the end, beside known and random networks; null for none."""
    final_seeds: int = 5
    """Seeds that each network of the final is trained on, the same for all."""
    final_longer: int = 4
    """How many times longer than in the search the final trains."""

    def __post_init__(self) -> None:
        if self.resolution is not None:
            check_resolution(self.resolution)
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        if self.band is not None and not 0 <= self.band[0] < self.band[1]:
            raise InputError(f"band must be two rising numbers from 0, got {list(self.band)}")
        if self.asynchronous and self.promote:
            raise InputError("promote needs whole batches: leave out --async")


def resolve(layers: Sequence[Mapping[str, Any]]) -> SearchConfig:
    """Merge layers of settings, later ones over earlier ones, into a checked config.

    Args:
        layers: Nested settings, as `read` and `parse_setting` give them.

    Raises:
        InputError: Unknown keys or names, wrong types or values; the line names the dotted field.
    """
    merged = merge(_DEFAULTS, layers)
    if merged.get("target_flops") is None:
        raise InputError("target_flops: missing; say what one image may cost, e.g. --target-flops 400M")
    merged = {**load_class("evaluator", merged["evaluator"].name)[0].search_defaults, **merged}
    merged["target_flops"] = target = parse_amount(str(merged["target_flops"]), "target_flops")
    time, share = (merged.get(name) for name in ("time", "share"))
    merged["time"] = time if time is None else parse_seconds(str(time))
    merged["share"] = share if share is None else parse_seconds_of(str(share), "share", "time", merged["time"])
    merged["objective"] = with_exponent(merged["objective"]) | {"target_macs": target}
    return schema.from_mapping(SearchConfig, merged, "config")


def merge(defaults: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Layers of nested settings over defaults, later ones over earlier ones, with the components that they name.

    Raises:
        InputError: Unknown names, presets or settings of components.
    """
    merged: dict[str, Any] = dict(defaults)
    for layer in layers:
        _merge(merged, layer)
    return merged | {kind: component(kind, merged[kind]) for kind in REGISTRIES if kind in merged}


def read(path: str, cls: type[RunConfig] = SearchConfig) -> dict[str, Any]:
    """The settings of a config file, or of an installed one by name.

    Args:
        path: The file or name.
        cls: The config that it is for.

    Raises:
        InputError: No such file, not YAML, or not a config.
    """
    text, source = named.read_config("config", "runs", path)
    document = strict_yaml.load(text, source)
    if not isinstance(document, dict) or document.pop("format", None) != cls.FORMAT:
        kind = cls.FORMAT.partition("/")[0].removeprefix("nas-")
        raise InputError(f"{source}: not a {kind} config: its first key must be format: {cls.FORMAT}")
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    unknown = [key for key in document if key not in known]
    if unknown:
        raise InputError(f"{source}: {named.unknown('key', unknown[0], known, '')}")
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
    return dict(nested)


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The nested settings of flags without those that are None: not given."""
    plain = {name: (given(value) or None) if isinstance(value, Mapping) else value for name, value in flags.items()}
    return {name: value for name, value in plain.items() if value is not None}


def to_yaml(config: RunConfig) -> str:
    """The resolved config as a file that `read` takes."""
    return strict_yaml.dump({"format": config.FORMAT, **to_plain(config)})


def to_plain(config: RunConfig) -> dict[str, Any]:
    """The resolved config as plain data, component settings beside their names."""
    plain: dict[str, Any] = schema.to_plain(config)
    plain.get("objective", {}).pop("target_macs", None)
    for kind in REGISTRIES.keys() & plain.keys():
        plain[kind] |= plain[kind].pop("settings")
    return plain


def make(kind: str, component: Component) -> tuple[Any, Any]:
    """The class of a component and its typed config.

    Raises:
        InputError: Unknown name or settings.
    """
    cls, _ = load_class(kind, component.name)
    return cls, schema.from_mapping(cls.Config, component.settings, kind)


def load_class(kind: str, spec: str) -> tuple[Any, str | None]:
    """The class of a controller or evaluator, a function made into one, and what stands after a known name's colon.

    Args:
        kind: ``controller`` or ``evaluator``.
        spec: A registered name, ``name:ARGUMENT``, or ``package.module:NAME``.

    Raises:
        InputError: Unknown name, or it names something else.
    """
    found, argument = named.load_object(kind, spec, REGISTRIES[kind])
    if kind == "evaluator":
        found = as_evaluator_class(found, spec)
    elif not (isinstance(found, type) and issubclass(found, Controller)):
        raise InputError(f"controller {spec}: must be a subclass of Controller")
    if inspect.isabstract(found) or not isinstance(getattr(found, "presets", None), Mapping):
        raise InputError(f"{kind} {spec}: cannot be used, it lacks presets or methods of its base class")
    return found, argument


def images_of(evaluator: Component) -> str:
    """The data set that an evaluator trains on, as ``--data`` names it; empty where there is none."""
    cls, evaluator_config = make("evaluator", evaluator)
    return str(cls.images(evaluator_config).get("data", ""))


def use_one_thread() -> None:
    """Keep torch and BLAS to one CPU thread outside evaluations, which set their own.

    A controller's matrices are tiny: threads gain nothing there, and on a busy machine they cost 50 times as much.
    """
    import scipy.linalg  # noqa: F401  # slow to load; has a BLAS of its own, which can be limited once it is there
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    packages = {name: metadata.version(name) for name in ("nas-b0", "torch", "numpy")}
    return {"python": platform.python_version(), **packages, "machine": platform.machine()}


def component(kind: str, data: Mapping[str, Any]) -> Component:
    """A controller or evaluator with its settings in full.

    Args:
        kind: ``controller`` or ``evaluator``.
        data: Its name, its preset, and settings on top.

    Raises:
        InputError: Unknown name, preset or settings, or wrong values.
    """
    data = dict(data)
    if kind == "evaluator" and str(data["name"]).partition(":")[0] == "accel-nasbench":
        # Of version 0.1, which read from an archive at `path` what is a part of the package now.
        data = {name: value for name, value in data.items() if name != "path"} | {"name": "imagenet"}
    spec, preset = str(data.pop("name")), str(data.pop("preset", "default"))
    cls, argument = load_class(kind, spec)
    name = spec
    if argument is not None:
        name = spec.partition(":")[0]
        field_name = getattr(cls, "argument", None)
        if field_name is None:
            raise InputError(f"{kind} {spec}: {name} takes nothing after a colon")
        data = {field_name: argument, **data}  # `table:scores.csv` is short for name `table`, path `scores.csv`
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
