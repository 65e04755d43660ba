"""The choices of one block of a search space (MnasNet, arXiv:1807.11626, section 4.1)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from search_space.architecture import Architecture, Layer, Stage
from search_space.decision import Decision, Tokens, canonical
from search_space.errors import InputError

FIELDS = ("op", "kernel", "channels", "layers", "se", "skip", "stride")
"""What a block may decide, in the order it is asked. A condition names an earlier field.

Where 0 layers may be chosen, `layers` is asked first: a block that is left out has nothing else to decide.
"""

Layers = tuple[Layer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The values one field of a block may take."""

    field: str
    """One of `FIELDS`."""
    values: tuple[Any, ...]
    """The choices, absolute and distinct; one alone is not asked."""
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """It applies if each of these earlier fields has one of these values; else the reference's value holds."""

    def available(self, chosen: dict[str, Any], reference: Any) -> tuple[Any, ...]:
        """The values left once the earlier fields are `chosen`."""
        applies = all(chosen[field] in allowed for field, allowed in self.when)
        return self.values if applies else (reference,)


def settings_of(field: str, value: Any) -> dict[str, Any]:
    """A choice as fields of `Stage`: ``mbconv6`` and ``bottleneck4`` are an operator and its expansion."""
    if field != "op":
        return {field: value}
    if value == "linear":
        return {"op": "linear", "expand": 1, "kernel": 1, "se": 0.0}
    kind = value.rstrip("0123456789")
    return {"op": kind, "expand": int(value.removeprefix(kind) or 1)}


def value_of(field: str, stage: Stage) -> Any:
    """A stage's value of one of `FIELDS`, spelled as a choice is."""
    if field != "op":
        return getattr(stage, field)
    return f"{stage.op}{stage.expand}" if stage.op in ("mbconv", "bottleneck") else stage.op


def built_layers(stage: Stage | None, in_channels: int) -> Layers:
    """The layers of a stage as they are built on `in_channels` channels; none of one that is left out."""
    if stage is None:
        return ()
    return Architecture(stem=in_channels, stages=(stage,)).stage_layers()[0]


class Block:
    """The choices of one block: which questions are asked, and the stages that the answers give."""

    def __init__(self, name: str, reference: Stage, questions: Sequence[Question]) -> None:
        """Set up the questions.

        Args:
            name: Prefix of its decisions, e.g. ``block3``.
            reference: The stage whose values hold for what no question decides.
            questions: At most one for each of `FIELDS`, values and conditions checked.
        """
        self.name = name
        self.reference = reference
        given = {question.field: _where_it_matters(question, questions) for question in questions}
        self.questions = tuple(
            given.get(field, Question(field=field, values=(value_of(field, reference),))) for field in FIELDS
        )
        self.optional = 0 in self.values("layers")
        """Whether the block may be left out."""
        asked = [question for question in self.questions if self._is_asked(question)]
        if self.optional:
            asked.sort(key=lambda question: question.field != "layers")
        self.asked = tuple(asked if self.values("layers") != (0,) else ())
        self._stages: dict[Tokens, Stage | None] = {}
        self._by_layers: dict[int, dict[Layers, Tokens]] = {}
        self._decisions = self.decisions(0)

    def values(self, field: str) -> tuple[Any, ...]:
        """The choices of one of `FIELDS`, a single one where it is not asked."""
        return self.questions[FIELDS.index(field)].values

    def _is_asked(self, question: Question) -> bool:
        """Several values, and a condition that can hold."""
        values = {other.field: other.values for other in self.questions}
        possible = all(any(value in allowed for value in values[field]) for field, allowed in question.when)
        return len(question.values) > 1 and possible

    def decisions(self, offset: int) -> tuple[Decision, ...]:
        """The questions asked, for a space where this block's first decision has index `offset`."""
        index = {question.field: offset + i for i, question in enumerate(self.asked)}
        values = {question.field: question.values for question in self.asked}
        return tuple(
            Decision(
                name=f"{self.name}.{question.field}",
                choices=tuple(map(str, question.values)),
                requires=tuple(
                    (index[field], frozenset(i for i, value in enumerate(values[field]) if value in allowed))
                    for field, allowed in self._conditions(question)
                    if field in index and not set(values[field]) <= set(allowed)
                ),
            )
            for question in self.asked
        )

    def _conditions(self, question: Question) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Its own, and that the block is there."""
        there = tuple(layers for layers in self.values("layers") if layers)
        return question.when if question.field == "layers" else (("layers", there), *question.when)

    def stage(self, tokens: Tokens) -> Stage | None:
        """The stage that the block's own tokens give; None where they leave it out.

        Raises:
            ValueError: A token outside its choices.
        """
        if tokens not in self._stages:
            self._stages[tokens] = self._build(tokens)
        return self._stages[tokens]

    def _build(self, tokens: Tokens) -> Stage | None:
        answers = dict(zip((q.field for q in self.asked), canonical(self._decisions, tokens), strict=True))
        chosen: dict[str, Any] = {}
        settings: dict[str, Any] = {}
        for question in self.questions:
            available = question.available(chosen, value_of(question.field, self.reference))
            value = available[answers.get(question.field, 0)]
            chosen[question.field] = value
            settings = settings_of(question.field, value) | settings  # what an operator fixes stands
        if not chosen["layers"]:
            return None
        return dataclasses.replace(self.reference, **settings)

    def all_tokens(self) -> Iterator[Tokens]:
        """Every distinct token sequence of the block."""
        for tokens in itertools.product(*(range(len(question.values)) for question in self.asked)):
            if canonical(self._decisions, tokens) == tokens:
                yield tokens

    @property
    def size(self) -> int:
        """Number of distinct token sequences of the block."""
        return sum(1 for _ in self.all_tokens())

    def by_layers(self, in_channels: int) -> dict[Layers, Tokens]:
        """What the block can build on `in_channels` channels: each list of layers, and tokens that give it."""
        if in_channels not in self._by_layers:
            table: dict[Layers, Tokens] = {}
            for tokens in self.all_tokens():
                table.setdefault(built_layers(self.stage(tokens), in_channels), tokens)
            self._by_layers[in_channels] = table
        return self._by_layers[in_channels]

    def depths(self) -> tuple[int, ...]:
        """The numbers of layers the block may have."""
        question = self.questions[FIELDS.index("layers")]
        return tuple(sorted({*question.values, *([self.reference.layers] if question.when else [])}))

    def strides(self) -> tuple[int, ...]:
        """The strides the block may have; 1 where it may be left out."""
        question = self.questions[FIELDS.index("stride")]
        others = [self.reference.stride] if question.when else []
        return tuple(sorted({*question.values, *others, *([1] if self.optional else [])}))

    def missing(self, wanted: Stage, in_channels: int) -> list[str]:
        """Which values of `wanted` the block does not offer, one line each; empty where it can build the same."""
        built = built_layers(wanted, in_channels)
        if built in self.by_layers(in_channels):
            return []
        chosen = {field: value_of(field, wanted) for field in FIELDS}
        lines: list[str] = []
        lacking: set[str] = set()
        for question in self.questions:
            available = question.available(chosen, value_of(question.field, self.reference))
            if lacking.intersection(field for field, _ in question.when):
                available = question.values  # its condition rests on a value that is missing itself
            # A value that makes no difference here (a shortcut across a stride) is not missing.
            if not any(_changed(wanted, question.field, value, in_channels) == built for value in available):
                lacking.add(question.field)
                where = "" if available == question.values else _condition(question)
                choices = ", ".join(map(str, available))
                lines.append(f"{self.name}.{question.field}: {chosen[question.field]} is not among {choices}{where}")
        return lines or [f"{self.name}: these values are not offered together"]


def _where_it_matters(question: Question, questions: Sequence[Question]) -> Question:
    """A question that a linear layer leaves open, asked only of the other operators."""
    operators = next((other.values for other in questions if other.field == "op"), ())
    if question.field not in ("kernel", "se") or "linear" not in operators:
        return question
    others = tuple(operator for operator in operators if operator != "linear")
    when = dict(question.when)
    when["op"] = tuple(operator for operator in when.get("op", others) if operator != "linear")
    return dataclasses.replace(question, when=tuple(when.items()))


def _changed(stage: Stage, field: str, value: Any, in_channels: int) -> Layers | None:
    """The layers of a stage with one choice made otherwise; None where there can be no such stage."""
    try:
        left_out = (field, value) == ("layers", 0)
        changed = None if left_out else dataclasses.replace(stage, **settings_of(field, value))
    except InputError:
        return None
    return built_layers(changed, in_channels)


def _condition(question: Question) -> str:
    fields = [f"{field} is {' or '.join(map(str, allowed))}" for field, allowed in question.when]
    return f" (decided only where {' and '.join(fields)})"
