"""The search loop: ask -> evaluate -> reward -> journal -> tell.

A study is rebuilt from its journal alone. Batches are learned from whole and in trial order, and every seed is
derived from (run seed, purpose, index); so the same seed gives the same trials whatever the engine, the order in
which evaluations finish, or how often the run was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.base import Controller, Outcome
from evaluator.base import Evaluation
from evaluator.device.timing import make_timer
from evaluator.objective import Objective
from nas.engines.base import Engine, Job
from nas.history import Trial, fold
from nas.journal import Event, Journal, uninterrupted
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Space, Tokens
from search_space.errors import InputError
from search_space.io import schema
from search_space.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How to measure a proposal, where one network may be measured in several ways."""

    fidelity: int = 1
    """How many times longer than usual to train."""
    repeat: int = 0
    """Proposals of the same repeat share one seed, whatever their networks: their comparison is paired."""


def measurement_of(space: Space, tokens: Tokens) -> Measurement | None:
    """How a space wants a proposal measured; None where every network is measured once, in the usual way."""
    measure = getattr(space, "measurement", None)
    return None if measure is None else measure(tokens)


def evaluation_seed(seed: int, number: int, how: Measurement | None) -> int:
    """Seed of a trial's training, from the run's: by the trial's number, or that of all trials of the same repeat."""
    return derive_seed(seed, "evaluation", number) if how is None else derive_seed(seed, "repeat", how.repeat)


class Study:
    """A search over a space, remembered by a journal.

    Attributes:
        history: What the journal says so far.
        has_time: Asked before each batch is proposed: no ends `run` where it stands.
        shared_loss: What shared weights say of a network, nats; None where there are none.
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
    ) -> None:
        """Take up the journal where it ends.

        Args:
            space: What is searched. If it has a method ``measurement(tokens) -> Measurement``, a network is trained
                once for each of its measurements; else once, with a seed of its own.
            objective: Accuracy and MACs to reward.
            controller: Fresh; it is told the journal's finished batches again.
            journal: Its first event, the run header, is written by the caller.
            num_trials: When `run` stops, unless the controller has nothing left to propose before; repeats of a
                network count as trials.
            batch_size: Trials the controller proposes and learns from at a time.
            seed: The run's seed.

        Raises:
            InputError: The journal is damaged or holds proposals of another space.
        """
        self.space, self.objective = space, objective
        self.controller, self.journal = controller, journal
        self.num_trials, self.batch_size, self.seed = num_trials, batch_size, seed
        self.has_time: Callable[[], bool] = lambda: True
        self.shared_loss: Callable[[Architecture], float] | None = None
        self._timed = make_timer(objective)
        self._asked: set[int] = set()
        self._first_of: dict[tuple[str, Measurement | None], int] = {}
        self.history = fold(journal.events(), journal.path)
        try:
            self.history.check_tokens(space.decisions)
        except InputError as error:
            raise InputError(f"{journal.path}: {error}") from None
        for trial in self.history.finished:
            self._first_of.setdefault(self._identity(trial), trial.number)
        if self.history.told:
            controller.tell(self.history.told)
        for numbers in self.history.learned_from:
            controller.tell(self._outcomes(numbers))

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, finished or not, by number."""
        return self.history.trials

    @property
    def signals(self) -> list[dict[str, Any]]:
        """What the controller reported after each update."""
        return self.history.signals

    @property
    def references(self) -> dict[str, Evaluation]:
        """Evaluations of named networks beside the search."""
        return self.history.references

    @property
    def best(self) -> Trial | None:
        """The finished trial of highest reward, the earlier one where equal; None if none succeeded."""
        return self.history.best

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

    def ask(self) -> Trial | None:
        """A trial for the caller to evaluate; None where the controller has nothing left to propose, or nothing new.

        Trials come batch by batch. A batch that is not told whole is no reason to wait: the next one is then proposed
        without having learned from it. A network that is known, or asked for already, is not handed out again.
        """
        while True:
            self._finish_repeats()
            in_flight = {self._identity(self.trials[number]) for number in self._asked}
            if trial := next((t for t in self._unfinished() if self._identity(t) not in in_flight), None):
                self._asked.add(trial.number)
                return trial
            if self.history.is_exhausted(self._asked) or not self._propose(self.batch_size):
                return None

    def tell(self, number: int, evaluation: Evaluation) -> Trial:
        """Finish a trial that `ask` gave, late or early, in any order; batches are learned from as they become whole.

        Raises:
            InputError: There is no such trial, or it is finished.
        """
        if not 0 <= number < len(self.trials):
            raise InputError(f"trial {number}: there is none; {len(self.trials)} were proposed")
        if self.trials[number].evaluation is not None:
            raise InputError(f"trial {number}: is finished already")
        self._asked.discard(number)
        trial = self._finish(number, evaluation, None)
        self._finish_repeats()
        return trial

    def _unfinished(self) -> list[Trial]:
        """Trials that have no result and were not asked for."""
        trials = (self.trials[number] for batch in self.history.batches[len(self.signals) :] for number in batch)
        return [trial for trial in trials if trial.evaluation is None and trial.number not in self._asked]

    def _finish_repeats(self) -> None:
        """Give proposals of known networks their results, and learn from what is whole."""
        for trial in self._unfinished():
            if (first := self._first_of.get(self._identity(trial))) is not None:
                self._finish_repeat(trial.number, first)
        self._learn_whole()

    def _learn_whole(self) -> None:
        """Learn from the batches that are whole, in order."""
        while len(self.signals) < len(self.history.batches):
            numbers = self.history.batches[len(self.signals)]
            if any(self.trials[n].evaluation is None for n in numbers):
                return
            self._learn(numbers)

    def evaluate_references(
        self, networks: Mapping[str, Architecture], engine: Engine, fidelity: int = 1, *, follow: bool = False
    ) -> None:
        """Evaluate named networks that the search did not propose, once a run, and remember them in the journal.

        Where they follow the search's best they are recorded, and evaluated again once they have become others.
        """
        known = self.history.reference_networks
        missing = [n for n in networks if n not in self.references or (follow and known.get(n) != networks[n])]
        jobs = []
        for number, name in enumerate(missing, 1):
            seed = derive_seed(self.seed, "reference", name)
            jobs.append(Job(trial=-number, architecture=networks[name], seed=seed, fidelity=fidelity))
        for number, evaluation in engine.run(jobs):
            network = networks[name := missing[-1 - number]]
            event = {"event": "reference", "name": name, "evaluation": self._timed(evaluation, network).to_json()}
            self.record(event | ({"network": schema.to_plain(network)} if follow else {}))

    def _all_batches(self) -> Iterator[range]:
        """Batches that are not learned from yet: those in the journal, then new ones."""
        while len(self.signals) < len(self.history.batches) or self._wants_more():
            size = min(self.batch_size, self.num_trials - len(self.trials))
            if len(self.signals) == len(self.history.batches) and not self._propose(size):
                return
            yield self.history.batches[len(self.signals)]

    def _wants_more(self) -> bool:
        return len(self.trials) < self.num_trials and self.has_time()

    def _propose(self, size: int) -> bool:
        """Ask for the next batch; False if there is none."""
        proposals = self.controller.ask(len(self.history.batches), size)
        if not proposals:
            return False
        rows = []
        for number, tokens in enumerate(proposals, len(self.trials)):
            architecture = self.space.decode(tokens)
            cost = count(architecture)
            said = {} if self.shared_loss is None else {"shared_loss": round(self.shared_loss(architecture), 4)}
            row = {"trial": number, "tokens": list(tokens), "key": architecture.key}
            rows.append(row | {"macs": cost.macs, "params": cost.params} | said)
        self.record({"event": "proposed", "batch": len(self.history.batches), "trials": rows})
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
        if engine.workers > 1:  # the costly ones first, so that no worker waits long for the last
            jobs.sort(key=lambda job: -self.trials[job.trial].macs * job.fidelity)
        for number, evaluation in engine.run(jobs):
            yield self._finish(number, evaluation, None)
        for number in repeats:
            yield self._finish_repeat(number, self._first_of[self._identity(self.trials[number])])

    def _identity(self, trial: Trial) -> tuple[str, Measurement | None]:
        """What may not be measured twice."""
        return trial.key, measurement_of(self.space, trial.tokens)

    def _job(self, trial: Trial) -> Job:
        how = measurement_of(self.space, trial.tokens)
        seed, fidelity = evaluation_seed(self.seed, trial.number, how), how.fidelity if how else 1
        return Job(trial=trial.number, architecture=self.architecture(trial), seed=seed, fidelity=fidelity)

    def _finish(self, number: int, evaluation: Evaluation, repeat_of: int | None) -> Trial:
        trial = self.trials[number]
        evaluation = self._timed(evaluation, self.architecture(trial))
        reward = self.objective.reward(evaluation.accuracy or 0.0, trial.macs, evaluation.latency_ms)
        event: Event = {"event": "finished", "trial": number, "evaluation": evaluation.to_json()}
        with uninterrupted():
            self.record(event | {"reward": reward, "repeat_of": repeat_of})
            self._first_of.setdefault(self._identity(trial), number)
        return self.trials[number]

    def _finish_repeat(self, number: int, first: int) -> Trial:
        known = self.trials[first].evaluation
        assert known is not None
        return self._finish(number, known, first)

    def _learn(self, numbers: Iterable[int]) -> None:
        """Learn from a batch: whole, or whoever goes on after Ctrl-C would learn from it twice."""
        with uninterrupted():
            signals = self.controller.tell(self._outcomes(numbers)) | self.controller.beliefs()
            self.record({"event": "updated", "batch": len(self.signals), "signals": signals})

    def _outcomes(self, numbers: Iterable[int]) -> list[Outcome]:
        outcomes = []
        for trial in (self.trials[n] for n in numbers):
            assert trial.evaluation is not None
            assert trial.reward is not None
            outcomes.append(Outcome(tokens=trial.tokens, reward=trial.reward, accuracy=trial.evaluation.accuracy))
        return outcomes

    def record(self, event: Event) -> None:
        """Write an event, then let it count."""
        with uninterrupted():
            self.journal.append(event)
            self.history.add(event)
