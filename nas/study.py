"""The search loop: ask -> evaluate -> reward -> journal -> tell.

A study is rebuilt from its journal alone. Batches are learned from whole and in trial order, and every seed is
derived from (run seed, purpose, index); so the same seed gives the same trials whatever the engine, the order in
which evaluations finish, or how often the run was killed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from controller.base import Controller, Outcome
from evaluator.base import Evaluation
from evaluator.objective import Objective
from evaluator.timing import make_timer
from nas.engines.base import Engine, Job
from nas.journal import Event, Journal
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, Tokens
from search_space.errors import InputError
from search_space.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One proposal and, once it is finished, its result."""

    number: int
    tokens: Tokens
    key: str
    """Key of the network that the tokens build."""
    macs: int
    params: int
    evaluation: Evaluation | None = None
    reward: float | None = None
    repeat_of: int | None = None
    """The earlier trial of the same network whose result this one takes; None for a trained one."""

    @property
    def ok(self) -> bool:
        """Whether the trial is finished with an accuracy."""
        return self.evaluation is not None and self.evaluation.status == "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How to measure a proposal, where one network may be measured in several ways."""

    fidelity: int = 1
    """How many times longer than usual to train."""
    repeat: int = 0
    """Proposals of the same repeat share one seed, whatever their networks: their comparison is paired."""


class Study:
    """A search over a space, remembered by a journal.

    Attributes:
        trials: All trials so far, finished or not, by number.
        signals: What the controller reported after each batch.
        references: Evaluations of named networks beside the search, by name.
    """

    def __init__(
        self,
        *,
        space: Space,
        objective: Objective,
        controller: Controller[Any],
        journal: Journal,
        num_trials: int,
        batch_size: int,
        seed: int,
        measurement: Callable[[Tokens], Measurement] | None = None,
    ) -> None:
        """Take up the journal where it ends.

        Args:
            space: What is searched.
            objective: Accuracy and MACs to reward.
            controller: Fresh; it is told the journal's finished batches again.
            journal: Its first event, the run header, is written by the caller.
            num_trials: When to stop, unless the controller has nothing left to propose before; repeats of a network
                count as trials.
            batch_size: Trials the controller proposes and learns from at a time.
            seed: The run's seed.
            measurement: How to measure a proposal; a network is trained once for each of its measurements. None
                trains each network once, with a seed of its own.

        Raises:
            InputError: The journal is damaged or holds proposals of another space.
        """
        self.space = space
        self.objective = objective
        self.controller = controller
        self.journal = journal
        self.num_trials = num_trials
        self.batch_size = batch_size
        self.seed = seed
        self.measurement = measurement
        self._timed = make_timer(objective)
        self.trials: list[Trial] = []
        self.signals: list[dict[str, Any]] = []
        self.references: dict[str, Evaluation] = {}
        self._batches: list[range] = []
        self._first_of: dict[tuple[str, Measurement | None], int] = {}
        for event in journal.events():
            self._replay(event)

    @property
    def best(self) -> Trial | None:
        """The finished trial of highest reward, the earlier one where equal; None if none succeeded."""
        return max((t for t in self.trials if t.ok), key=lambda t: (t.reward, -t.number), default=None)

    def ranking(self) -> list[Trial]:
        """Finished, distinct networks, best reward first; one that was measured in several ways counts once."""
        distinct = [t for t in self.trials if t.ok and t.repeat_of is None]
        best: dict[str, Trial] = {}
        for trial in sorted(distinct, key=lambda t: (-(t.reward or 0.0), t.number)):
            best.setdefault(trial.key, trial)
        return list(best.values())

    def architecture(self, trial: Trial) -> Architecture:
        """The network of a trial."""
        return self.space.decode(trial.tokens)

    def run(self, engine: Engine) -> Iterator[Trial]:
        """Search until all trials are finished, yielding each as it finishes.

        An evaluation that is in flight when this is abandoned is run again by the next study on the journal.
        """
        for trial_numbers in self._all_batches():
            yield from self._evaluate(trial_numbers, engine)
            self._learn(trial_numbers)

    def evaluate_reference(
        self, name: str, architecture: Architecture, engine: Engine, fidelity: int = 1
    ) -> Evaluation:
        """Evaluate a network that the search did not propose, once a run, and remember it in the journal."""
        if name not in self.references:
            seed = derive_seed(self.seed, "reference", name)
            job = Job(trial=-1, architecture=architecture, seed=seed, fidelity=fidelity)
            ((_, evaluation),) = engine.run([job])
            evaluation = self._timed(evaluation, architecture)
            self._record({"event": "reference", "name": name, "evaluation": evaluation.to_json()})
        return self.references[name]

    def _all_batches(self) -> Iterator[range]:
        """Batches that are not learned from yet: the one in the journal, then new ones."""
        while len(self.signals) < len(self._batches) or len(self.trials) < self.num_trials:
            if len(self.signals) == len(self._batches) and not self._propose():
                return
            yield self._batches[-1]

    def _propose(self) -> bool:
        """Ask for the next batch; False if there is none."""
        size = min(self.batch_size, self.num_trials - len(self.trials))
        proposals = self.controller.ask(len(self._batches), size)
        if not proposals:
            return False
        rows = []
        for number, tokens in enumerate(proposals, len(self.trials)):
            architecture = self.space.decode(tokens)
            cost = count(architecture)
            row = {"trial": number, "tokens": list(tokens), "key": architecture.key}
            rows.append(row | {"macs": cost.macs, "params": cost.params})
        self._record({"event": "proposed", "batch": len(self._batches), "trials": rows})
        return True

    def _evaluate(self, numbers: range, engine: Engine) -> Iterator[Trial]:
        """Finish the batch's trials: networks not seen before by the engine, the others from the journal."""
        jobs, repeats, here = [], [], set[tuple[str, Measurement | None]]()
        for trial in (self.trials[n] for n in numbers if self.trials[n].evaluation is None):
            identity = self._identity(trial)
            if identity in self._first_of or identity in here:
                repeats.append(trial.number)
            else:
                here.add(identity)
                jobs.append(self._job(trial))
        for number, evaluation in engine.run(jobs):
            yield self._finish(number, evaluation, None)
        for number in repeats:
            first = self._first_of[self._identity(self.trials[number])]
            known = self.trials[first].evaluation
            assert known is not None
            yield self._finish(number, known, first)

    def _identity(self, trial: Trial) -> tuple[str, Measurement | None]:
        """What may not be measured twice."""
        return trial.key, self.measurement(trial.tokens) if self.measurement else None

    def _job(self, trial: Trial) -> Job:
        architecture = self.architecture(trial)
        if self.measurement is None:
            seed = derive_seed(self.seed, "evaluation", trial.number)
            return Job(trial=trial.number, architecture=architecture, seed=seed)
        how = self.measurement(trial.tokens)
        seed = derive_seed(self.seed, "repeat", how.repeat)
        return Job(trial=trial.number, architecture=architecture, seed=seed, fidelity=how.fidelity)

    def _finish(self, number: int, evaluation: Evaluation, repeat_of: int | None) -> Trial:
        trial = self.trials[number]
        evaluation = self._timed(evaluation, self.architecture(trial))
        reward = self.objective.reward(evaluation.accuracy or 0.0, trial.macs, evaluation.latency_ms)
        event: Event = {"event": "finished", "trial": number, "evaluation": evaluation.to_json()}
        self._record(event | {"reward": reward, "repeat_of": repeat_of})
        return self.trials[number]

    def _learn(self, numbers: range) -> None:
        signals = self.controller.tell(self._outcomes(numbers)) | self.controller.beliefs()
        self._record({"event": "updated", "batch": len(self.signals), "signals": signals}, learn=False)

    def _outcomes(self, numbers: Iterable[int]) -> list[Outcome]:
        outcomes = []
        for trial in (self.trials[n] for n in numbers):
            assert trial.evaluation is not None
            assert trial.reward is not None
            accuracy = trial.evaluation.accuracy
            outcomes.append(Outcome(tokens=trial.tokens, reward=trial.reward, accuracy=accuracy))
        return outcomes

    def _record(self, event: Event, learn: bool = True) -> None:
        """Write an event, then let it count."""
        self.journal.append(event)
        self._replay(event, learn)

    def _replay(self, event: Event, learn: bool = True) -> None:
        """Let one event of the journal count."""
        match event["event"]:
            case "proposed":
                self._replay_proposed(event["trials"])
            case "finished":
                self._replay_finished(event)
            case "updated":
                if learn:
                    # An asynchronous run names the trials; others learn from the batch they proposed.
                    self.controller.tell(self._outcomes(event.get("trials") or self._batches[event["batch"]]))
                self.signals.append(event["signals"])
            case "told":
                self.controller.tell([Outcome(**row | {"tokens": tuple(row["tokens"])}) for row in event["outcomes"]])
            case "reference":
                self.references[event["name"]] = Evaluation.from_json(event["evaluation"])

    def _replay_proposed(self, rows: Sequence[Event]) -> None:
        start = len(self.trials)
        for row in rows:
            tokens = tuple(row["tokens"])
            if len(tokens) != len(self.space.decisions):
                raise InputError(f"{self.journal.path}: its proposals have {len(tokens)} decisions, not the space's")
            self.trials.append(
                Trial(number=row["trial"], tokens=tokens, key=row["key"], macs=row["macs"], params=row["params"])
            )
        self._batches.append(range(start, len(self.trials)))

    def _replay_finished(self, event: Event) -> None:
        number = event["trial"]
        trial = dataclasses.replace(
            self.trials[number],
            evaluation=Evaluation.from_json(event["evaluation"]),
            reward=event["reward"],
            repeat_of=event["repeat_of"],
        )
        self.trials[number] = trial
        self._first_of.setdefault(self._identity(trial), number)
