"""What a journal says: its events, folded into one value that studies, records and later searches read alike.

| event | what it says |
|---|---|
| ``run`` | the header: the resolved config, versions; where a time was given, what was planned for it |
| ``described`` | what the evaluator says of itself: data, images, the share of the largest class |
| ``told`` | results of earlier runs that the controller learned from before its first batch |
| ``shared`` | weights that all networks share were trained first, for so many steps |
| ``proposed`` | a batch of trials: tokens, key of the network, MACs, parameters, loss by shared weights if there are |
| ``finished`` | a trial's evaluation and reward |
| ``updated`` | the controller learned from trials, by default those of the batch; its signals |
| ``worked`` | so many seconds were worked on the run since the last such line, or since a process took it up |
| ``ended`` | the search ended after so many trials, as its time was over |
| ``reference`` | an evaluation of a named network beside the search; the network, where it follows the best one |
| ``final`` | the final after so many trials: its networks with their accuracies on each seed, best first; the verdict |
| ``evaluator`` | from here on networks are evaluated so: as plain data, in the place of the header's |
| ``extended`` | lists of the header's config that have become longer: ``ratios``, ``check_phi`` of a grid |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.base import Outcome
from evaluator.base import Evaluation
from nas.journal import Event, check_number, check_text, check_whole
from search_space.architecture import Architecture
from search_space.decision import Decision, Tokens
from search_space.errors import InputError
from search_space.io import schema
from search_space.io.strict_yaml import MAX_DEPTH

STALE = 100  # proposals of known networks in a row, after which none that is new is waited for
GROWING = {"ratios", "check_phi"}  # settings to which more may be added when a run goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One proposal and, once it is finished, its result."""

    number: int
    tokens: Tokens
    key: str
    """Key of the network that the tokens build."""
    macs: int
    params: int
    shared_loss: float | None = None
    """What weights that all networks share say of it before it is trained, nats; None where there are none."""
    evaluation: Evaluation | None = None
    reward: float | None = None
    repeat_of: int | None = None
    """The earlier trial of the same network whose result this one takes; None for a trained one."""

    @property
    def ok(self) -> bool:
        """Whether the trial is finished with an accuracy."""
        return self.evaluation is not None and self.evaluation.status == "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A network that a search's final trained in full."""

    name: str
    role: Literal["found", "random", "reference"]
    network: Architecture
    accuracies: tuple[float, ...]
    """One a seed; all finalists on the same seeds, in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """How a search's final ended."""

    trials: int
    """Of the search at that time: one that went on since needs another final."""
    finalists: tuple[Finalist, ...]
    """The highest mean accuracy first: the winner."""
    verdict: str
    """One sentence."""

    def __post_init__(self) -> None:
        seeds = {len(finalist.accuracies) for finalist in self.finalists}
        possible = all(0 <= accuracy <= 1 for finalist in self.finalists for accuracy in finalist.accuracies)
        if len(seeds) != 1 or min(seeds) < 2 or not possible:
            raise InputError("a final has networks, each with an accuracy from 0 to 1 on the same two or more seeds")


@dataclass(kw_only=True)
class History:
    """All that a run's journal says."""

    config: dict[str, Any] = field(default_factory=dict)
    """The resolved config of the header, as plain data."""
    versions: dict[str, str] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    """What was planned for the time that was given; empty where none was."""
    described: dict[str, Any] = field(default_factory=dict)
    """What the evaluator said of itself."""
    told: list[Outcome] = field(default_factory=list)
    """What the controller learned from before its first batch."""
    trials: list[Trial] = field(default_factory=list)
    """By number, finished or not."""
    batches: list[range] = field(default_factory=list)
    """Numbers of the trials of each batch."""
    learned_from: list[tuple[int, ...]] = field(default_factory=list)
    """Numbers of the trials of each of the controller's updates."""
    signals: list[dict[str, Any]] = field(default_factory=list)
    """What the controller reported after each update."""
    references: dict[str, Evaluation] = field(default_factory=dict)
    """Evaluations of named networks beside the search."""
    reference_networks: dict[str, Architecture] = field(default_factory=dict)
    """Those of them whose width follows the best network, by name."""
    shared_steps: int | None = None
    """Of the training of weights that all networks share; None where there was none."""
    final: Final | None = None
    """The last one that was held."""
    worked: float = 0.0
    """Seconds of work, over all processes; counted only where a time was given."""
    ended: int | None = None
    """Number of trials after which the time of the search was over."""

    @property
    def best(self) -> Trial | None:
        """The finished trial of highest reward, the earlier one where equal; None if none succeeded."""
        return max((t for t in self.trials if t.ok), key=lambda t: (t.reward, -t.number), default=None)

    @property
    def finished(self) -> list[Trial]:
        """Trials with a result, by number."""
        return [trial for trial in self.trials if trial.evaluation is not None]

    def is_exhausted(self, in_flight: set[int]) -> bool:
        """Whether the last `STALE` proposals were of no new network: to go on until one comes may never end."""
        last = self.trials[-STALE:]
        new = any(t.number in in_flight or (t.evaluation and t.repeat_of is None) for t in last)
        return len(last) == STALE and not new

    def add(self, event: Event) -> None:
        """Let one event count.

        Raises:
            InputError: It is no event of a run, or contradicts those before it.
        """
        try:
            match kind := event.get("event"):
                case "run":
                    self._add_header(event)
                case "described":
                    self.described = dict(event["evaluator"])
                case "told":
                    self.told += [_outcome(row) for row in event["outcomes"]]
                case "proposed":
                    self._add_batch(event["batch"], event["trials"])
                case "finished":
                    self._add_result(event)
                case "updated":
                    self._add_update(event)
                case "evaluator":
                    self.config = self.config | {"evaluator": _component(event["evaluator"])}
                case "extended":
                    grown = {name: [*map(check_number, event[name])] for name in GROWING & event.keys()}
                    self.config = self.config | grown
                case "worked":
                    self.worked += max(0.0, check_number(event["seconds"]))
                case "ended":
                    self.ended = check_whole(event["trials"])
                case "shared":
                    self.shared_steps = check_whole(event["steps"])
                case "reference":
                    self._add_reference(event)
                case "final":
                    self.final = schema.from_mapping(Final, event["final"], "final")
                case _:
                    raise InputError(f"unknown event {str(kind)[:40]!r}")
        except InputError as error:
            raise InputError(f"not an event of a run: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise InputError(f"not an event of a run: {kind}: {type(error).__name__}: {error}") from None

    def check_tokens(self, decisions: Sequence[Decision]) -> None:
        """Hold the proposals to a space's decisions.

        Raises:
            InputError: A proposal of another space.
        """
        sizes = [len(decision.choices) for decision in decisions]
        for trial in self.trials:
            if len(trial.tokens) != len(sizes) or any(t >= size for t, size in zip(trial.tokens, sizes, strict=True)):
                raise InputError(f"trial {trial.number} is not a proposal of this space: {str(trial.tokens)[:60]}")

    def _add_header(self, event: Event) -> None:
        if self.config or self.trials:
            raise InputError("a second header")
        config, versions = event["config"], event["versions"]
        if not (isinstance(config, dict) and config and isinstance(versions, dict)):
            raise InputError("its header has no config")
        if "evaluator" in config:
            _component(config["evaluator"])
        _check_depth([config, plan := dict(event.get("plan", {}))])
        self.config, self.plan = config, plan
        self.versions = {name: check_text(text) for name, text in versions.items()}

    def _add_batch(self, batch: int, rows: Sequence[Event]) -> None:
        if batch != len(self.batches):
            raise InputError(f"batch {batch} follows batch {len(self.batches) - 1}")
        start = len(self.trials)
        self.trials += [_proposal(row, start + i) for i, row in enumerate(rows)]
        self.batches.append(range(start, len(self.trials)))

    def _add_result(self, event: Event) -> None:
        trial = self.trials[check_whole(event["trial"])]
        if trial.evaluation is not None:
            raise InputError(f"trial {trial.number} finished twice")
        repeat_of = event["repeat_of"]
        if repeat_of is not None and self.trials[check_whole(repeat_of)].evaluation is None:
            raise InputError(f"trial {trial.number} repeats trial {repeat_of}, which has no result")
        found, reward = Evaluation.from_json(event["evaluation"]), check_number(event["reward"])
        self.trials[trial.number] = dataclasses.replace(trial, evaluation=found, reward=reward, repeat_of=repeat_of)

    def _add_reference(self, event: Event) -> None:
        self.references[name := check_text(event["name"])] = Evaluation.from_json(event["evaluation"])
        if "network" in event:
            self.reference_networks[name] = schema.from_mapping(Architecture, event["network"], "network")

    def _add_update(self, event: Event) -> None:
        batch, signals = event["batch"], event["signals"]
        if batch != len(self.signals):
            raise InputError(f"update {batch} follows update {len(self.signals) - 1}")
        # An asynchronous run names the trials; others learn from the batch they proposed.
        numbers = event["trials"] if "trials" in event else self.batches[batch]
        for number in numbers:
            if self.trials[check_whole(number)].evaluation is None:
                raise InputError(f"update {batch} learned from trial {number}, which has no result")
        self.learned_from.append(tuple(numbers))
        self.signals.append(_signals(signals))


def fold(events: Iterable[Event], source: object, into: History | None = None) -> History:
    """All events of a journal as one value.

    Args:
        events: As `nas.journal.read` gives them.
        source: The journal's name, for errors.
        into: What to add them to; after an error it holds what stands before the line at fault.

    Raises:
        InputError: An event that is none of a run, by its line.
    """
    history = History() if into is None else into
    for number, event in enumerate(events, 1):
        try:
            history.add(event)
        except InputError as error:
            raise InputError(f"{source}, line {number}: {error}") from None
    return history


def _proposal(row: Event, number: int) -> Trial:
    if row["trial"] != number:
        raise InputError(f"trial {row['trial']} stands where trial {number} belongs")
    tokens, macs, params = tuple(map(check_whole, row["tokens"])), check_whole(row["macs"]), check_whole(row["params"])
    loss = None if row.get("shared_loss") is None else check_number(row["shared_loss"])
    return Trial(number=number, tokens=tokens, key=check_text(row["key"]), macs=macs, params=params, shared_loss=loss)


def _outcome(row: Event) -> Outcome:
    accuracy = None if row["accuracy"] is None else check_number(row["accuracy"])
    return Outcome(tokens=tuple(map(check_whole, row["tokens"])), reward=check_number(row["reward"]), accuracy=accuracy)


def _component(value: object) -> Event:
    """A controller or evaluator as a header holds it."""
    if not (isinstance(value, dict) and isinstance(value.get("name"), str)):
        raise InputError(f"an evaluator has a name and settings, got {str(value)[:40]!r}")
    _check_depth(value)
    return value


def _check_depth(value: object, left: int = MAX_DEPTH) -> None:
    """What is read by recursion may not be deep."""
    if not left:
        raise InputError(f"nested deeper than {MAX_DEPTH} levels")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(item, left - 1)


def _signals(found: Mapping[str, Any]) -> dict[str, Any]:
    """Signals of any kind; those that are probabilities are numbers, a list for each decision."""
    signals = dict(found)
    for probability in (p for row in signals.get("probabilities", ()) for p in row):
        check_number(probability)
    return signals
