"""The YAML of a search space, ``nas-space/1``: a reference network, and what may be chosen instead of its values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search_space.architecture import Architecture, Stage
from search_space.block import FIELDS, Block, Question, settings_of, value_of
from search_space.errors import InputError
from search_space.io import schema, strict_yaml
from search_space.scaling import round_filters

FORMAT = "nas-space/1"
NETWORK_FIELDS = ("resolution", "stem", "stem_stride", "head", "activation", "dropout")
"""Fields of the whole network that may be decided."""
_OPERATOR = re.compile(r"conv|linear|basic|(mbconv|bottleneck)(0|[1-9][0-9]{0,3})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SpaceDocument:
    """A space's YAML, keys and types checked; `search_space.space.SearchSpace` gives it meaning."""

    name: str
    """What records call the space."""
    description: str = ""
    """What it is for, one sentence."""
    reference: Any
    """The network whose values hold where nothing is decided: an installed architecture's name, or its fields."""
    network: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Choices of the whole network, by field."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """Choices of every block, by field."""
    blocks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Choices of one block that replace those of every block."""

    def __post_init__(self) -> None:
        # It becomes part of file names.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", self.name):
            raise InputError(f"name: must be letters, digits, dots, dashes and underscores, got {self.name[:60]!r}")


@dataclass(frozen=True, kw_only=True)
class _Choices:
    """One field's choices, in one of three spellings."""

    choices: tuple[Any, ...] = ()
    times: tuple[float, ...] = ()
    plus: tuple[int, ...] = ()
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if sum(bool(values) for values in (self.choices, self.times, self.plus)) != 1:
            raise InputError("needs a list of one value or more: exactly one of choices, times, plus")


@dataclass(frozen=True, kw_only=True)
class SpaceParts:
    """A space's YAML, understood."""

    document: SpaceDocument
    reference: Architecture
    network: Mapping[str, tuple[Any, ...]]
    blocks: tuple[Block, ...]


def read_space(text: str, source: str) -> SpaceParts:
    """Read a space.

    Raises:
        InputError: Another format, unknown, missing or duplicate keys, wrong types or values.
    """
    document = strict_yaml.load(text, source)
    found = document.pop("format", None) if isinstance(document, dict) else None
    if found != FORMAT:
        raise InputError(f"{source}: not a search space: format must be {FORMAT}, got {found!r}")
    space = schema.from_mapping(SpaceDocument, document, source)
    return lay_out(space, _reference(space.reference, source), source)


def lay_out(space: SpaceDocument, reference: Architecture, source: str) -> SpaceParts:
    """The choices of a space around a reference, its own or one of another size.

    Raises:
        InputError: Choices that do not go with the reference.
    """
    names = [f"block{i}" for i in range(1, len(reference.stages) + 1)]
    for name in space.blocks:
        if name not in names:
            raise InputError(f"{source}.blocks: unknown key {name!r} (known: {', '.join(names)})")
    blocks = []
    for name, stage in zip(names, reference.stages, strict=True):
        overrides = space.blocks.get(name, {})
        origin = {key: f"{source}.blocks.{name}.{key}" for key in overrides}
        given = {**space.choices, **overrides}
        questions = [_question(stage, key, given[key], origin.get(key, f"{source}.choices.{key}")) for key in given]
        blocks.append(_block(name, stage, _checked_conditions(questions, source, name), source))
    if all(block.optional for block in blocks):
        raise InputError(f"{source}: every block may have 0 layers; one at least must stay")
    return SpaceParts(
        document=space,
        reference=reference,
        network=_network(reference, space.network, source),
        blocks=tuple(blocks),
    )


def _block(name: str, stage: Stage, questions: list[Question], source: str) -> Block:
    """A block, each of whose operators goes with the reference's values."""
    block = Block(name, stage, questions)
    try:
        for tokens in block.all_tokens():
            block.stage(tokens)
    except InputError as error:
        raise InputError(f"{source}: {name}: {error}") from None
    return block


def _reference(value: Any, source: str) -> Architecture:
    if isinstance(value, str):
        try:
            return Architecture.load(value)
        except InputError as error:
            raise InputError(f"{source}.reference: {error}") from None
    return schema.from_mapping(Architecture, value, f"{source}.reference")


def _network(reference: Architecture, given: Mapping[str, tuple[Any, ...]], source: str) -> dict[str, tuple[Any, ...]]:
    result = {}
    for key, values in given.items():
        where = f"{source}.network.{key}"
        if key not in NETWORK_FIELDS:
            raise InputError(f"{source}.network: unknown key {key!r} (known: {', '.join(NETWORK_FIELDS)})")
        if not values:
            raise InputError(f"{where}: needs a list of one value or more")
        checked = [getattr(_replaced(reference, {key: value}, where), key) for value in values]
        result[key] = _distinct(checked, where)
    return result


def _question(stage: Stage, key: str, given: Any, where: str) -> Question:
    """The choices of one field of one block, as absolute values."""
    if key not in FIELDS:
        raise InputError(f"{where}: unknown key {key!r} (known: {', '.join(FIELDS)})")
    spec = schema.from_mapping(_Choices, {"choices": given} if isinstance(given, list) else given, where)
    if spec.times and key != "channels":
        raise InputError(f"{where}: times is for channels only")
    if spec.plus and key != "layers":
        raise InputError(f"{where}: plus is for layers only")
    if spec.choices:
        values = _distinct([_checked(stage, key, value, where) for value in spec.choices], where)
    elif spec.times:
        if min(spec.times) <= 0:
            raise InputError(f"{where}.times: must be above 0, got {min(spec.times)}")
        rounded = [round_filters(stage.channels, factor) for factor in spec.times]
        values = tuple(dict.fromkeys(_checked(stage, key, value, where) for value in rounded))
    else:
        deltas = [max(1, stage.layers + delta) for delta in spec.plus]
        values = tuple(dict.fromkeys(_checked(stage, key, value, where) for value in deltas))
    if spec.when and 0 in values and key == "layers":
        raise InputError(f"{where}: 0 layers cannot be under a condition: whether a block is there is asked first")
    return Question(field=key, values=values, when=_when(stage, key, spec.when, f"{where}.when"))


def _when(stage: Stage, key: str, given: Mapping[str, tuple[Any, ...]], where: str) -> Any:
    earlier = FIELDS[: FIELDS.index(key)]
    for name in given:
        if name not in earlier:
            raise InputError(f"{where}: {name!r} is not decided before {key} (known: {', '.join(earlier) or 'none'})")
    return tuple((name, tuple(_checked(stage, name, value, where) for value in given[name])) for name in given)


def _checked_conditions(questions: list[Question], source: str, name: str) -> list[Question]:
    conditional = {question.field for question in questions if question.when}
    for question in questions:
        for condition, _ in question.when:
            if condition in conditional:
                raise InputError(f"{source}: {name}.{question.field}: its condition {condition} is itself conditional")
    return questions


def _checked(stage: Stage, key: str, value: Any, where: str) -> Any:
    """`value` as a stage would hold it, or InputError."""
    if key == "layers" and type(value) is int and value == 0:
        return 0
    if key == "op" and not (isinstance(value, str) and _OPERATOR.fullmatch(value)):
        raise InputError(
            f"{where}: must be conv, linear, basic, or mbconv or bottleneck with an expansion, e.g. mbconv6 or "
            f"bottleneck4, got {value!r}"
        )
    return value_of(key, _replaced(stage, settings_of(key, value), where))


def _replaced(value: Any, fields: dict[str, Any], where: str) -> Any:
    try:
        return dataclasses.replace(value, **fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _distinct(values: list[Any], where: str) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise InputError(f"{where}: the same value twice in {', '.join(map(str, values))}")
    return tuple(values)
