"""What every run has, whether it goes on in this process or is read from disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluator.base import Evaluation
from nas.history import Final, History, Trial
from nas.runs import table
from search_space.architecture import Architecture
from search_space.decision import Space
from search_space.errors import NasError

if TYPE_CHECKING:
    import pandas


class Run:
    """A run: its directory, its trials, the best of them.

    Attributes:
        path: The run's directory.
        history: All that its journal says.
        space: What is searched; None where a run that was read does not say so any more.
        seed: Root of all its randomness.
    """

    path: Path
    history: History
    space: Space | None
    seed: int

    @property
    def trials(self) -> list[Trial]:
        """By number, finished or not."""
        return self.history.trials

    @property
    def finished(self) -> list[Trial]:
        """Trials with a result, by number."""
        return self.history.finished

    @property
    def signals(self) -> list[dict[str, Any]]:
        """What the controller reported after each update."""
        return self.history.signals

    @property
    def references(self) -> dict[str, Evaluation]:
        """Evaluations of named networks beside the search, by name."""
        return self.history.references

    @property
    def final(self) -> Final | None:
        """How the final after the last trial ended; None where none was held, or the search went on since."""
        final = self.history.final
        return final if final and final.trials == len(self.trials) else None

    @property
    def best_trial(self) -> Trial | None:
        """The finished trial of highest reward, the earlier one where equal; None if none succeeded."""
        return self.history.best

    @property
    def best_architecture(self) -> Architecture | None:
        """The network of `best_trial`."""
        return None if self.best_trial is None else self.architecture(self.best_trial)

    def architecture(self, trial: Trial) -> Architecture:
        """The network of a trial.

        Raises:
            NasError: The space of a run that was read is not at hand.
        """
        if self.space is None:
            raise NasError(f"{self.path}: its networks cannot be built, since its space is not at hand")
        return self.space.decode(trial.tokens)

    def trials_dataframe(self) -> pandas.DataFrame:
        """One row a finished trial, as in trials.csv; needs pandas, which comes with ray[tune]."""
        import pandas  # heavy

        names, rows = self.table()
        return pandas.DataFrame(rows, columns=names)

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Column names, and one row a finished trial."""
        return table.of_trials(self.trials, self.space, self.seed)


def measured(trials: Sequence[Trial]) -> list[Trial]:
    """The first measurement of every network that has an accuracy."""
    first: dict[str, Trial] = {}
    for trial in trials:
        if trial.ok and trial.repeat_of is None:
            first.setdefault(trial.key, trial)
    return list(first.values())


def free_scores(trials: Sequence[Trial]) -> dict[str, list[float]]:
    """What scores networks without a training of each, by name; higher for better ones."""
    scores: dict[str, list[float]] = {
        "the number of parameters": [trial.params for trial in trials],
        "MACs": [trial.macs for trial in trials],
    }
    losses = [trial.shared_loss for trial in trials if trial.shared_loss is not None]
    return scores | ({"the shared loss": [-loss for loss in losses]} if len(losses) == len(trials) else {})
