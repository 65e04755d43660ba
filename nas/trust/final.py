"""The final of a search: its best networks, a random search's best and known ones, trained in full on paired seeds.

The search chose its networks by short trainings on one split of the images. Here all are trained longer, at their own
size and on seeds of their own, and judged by images that are split anew; no test image is looked at. Everything is
journaled in the run's directory, so a final that was stopped goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evaluator.base import Evaluation
from nas import config
from nas.engines.base import Engine
from nas.grid.candidates import CandidateSpace
from nas.history import Final, Finalist
from nas.progress import SearchProgress
from nas.runs.directory import inside
from nas.runs.final import num_known
from nas.runs.references import comparable, title
from nas.runs.search import StudyRun
from nas.statistics import at_chance, mean_of
from nas.study import Study, measurement_of
from nas.trust.candidates import missing, planned_study
from nas.trust.verdict import conclude, reward_of
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.decision import Tokens
from search_space.errors import NasError
from search_space.io import schema
from search_space.io.files import write_atomic
from search_space.seeding import derive_seed

LEAST_SEEDS = 3
"""Seeds that a final takes however little time is left: of fewer, an interval says next to nothing."""
FOLDER = "final"
RANDOM = "random"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A network that is to take part."""

    name: str
    role: Literal["found", "random", "reference"]
    network: Architecture


def _networks(count: int) -> str:
    return f"{count} network{'s' if count != 1 else ''}"


class FinalProgress(SearchProgress):
    """Shows trainings done and the time left; single trainings say nothing of the end."""

    title = "final"

    def found(self) -> str:
        """How many networks take part."""
        return _networks(len({trial.key for trial in self.study.trials}))


class RandomProgress(SearchProgress):
    """A search like any other."""

    title = "random search"


def random_search(run: StudyRun, engine: Engine, *, quiet: bool) -> Contestant:
    """The best of a random search of as many trainings as the search had, in the run's folder ``final/random``.

    Args:
        run: The search, finished.
        engine: Runs trainings like the search's.
        quiet: Show no progress.

    Raises:
        NasError: None of its networks could be evaluated.
    """
    path = inside(run.path, FOLDER, RANDOM, "")
    settings = replace(
        run.settings,
        controller=config.component("controller", {"name": "random"}),
        trials=_trainings(run),
        time=None,
        seed=derive_seed(run.settings.seed, RANDOM),
        promote=None,
        share=None,
        asynchronous=False,
        final=None,
    )
    with StudyRun(path, settings) as other:
        with RandomProgress(other.study, quiet=quiet) as progress:
            for trial in other.study.run(engine):
                progress.update(trial)
        other.export()
        if other.best_trial is None:
            raise NasError(f"{path}: none of {len(other.trials)} random networks could be evaluated")
        network = other.architecture(other.best_trial)
        return Contestant(name=f"the best of {len(other.trials)} random networks", role="random", network=network)


def contestants(run: StudyRun, beside: Contestant | None) -> list[Contestant]:
    """Who was found: the best networks of the search, and random search's.

    Args:
        run: The search, finished.
        beside: The best of the random search; None without one.
    """
    also = {beside.network.key: f", also {beside.name}"} if beside else {}
    found = [
        Contestant(name=f"trial {t.number}{also.get(t.key, '')}", role="found", network=run.architecture(t))
        for t in run.study.ranking()[: run.settings.final]
    ]
    keys = {contestant.network.key for contestant in found}
    return [*found, *([beside] if beside and beside.network.key not in keys else [])]


def hold(run: StudyRun, who: Sequence[Contestant], engine: Engine, say: Say, *, quiet: bool) -> Final:
    """Train what is left, conclude, and keep the conclusion and the winner.

    The known networks come second: they are brought to no fewer MACs than the best of those that were found, which
    is only known then. Where networks inherit from a checkpoint, its own are the known ones (`references.of_parent`).
    Whoever has the highest reward wins, as in the search.

    Args:
        run: The search, finished.
        who: As `contestants` gives them.
        engine: Runs trainings in full, as `nas.runs.final.evaluator_in_full` says.
        say: Takes each line for the user.
        quiet: Show no progress.

    Raises:
        NasError: No two networks, one of them found by the search, were trained on all seeds.
    """
    settings = run.settings
    folder = f"{len(run.trials)}-{settings.final}"
    finalists = _trained(run, folder, who, settings.final_seeds, num_known(settings), engine, say, quiet)
    found = [finalist for finalist in finalists if finalist.role == "found"]
    if not found:
        raise NasError(f"{run.path}: no final, no network that was found could be trained on all seeds")
    best = max(found, key=lambda finalist: reward_of(finalist, settings.objective))
    keys = {finalist.network.key for finalist in finalists}
    known = [
        Contestant(name=title(name, network), role="reference", network=network)
        for name, network in comparable(settings, count(best.network).macs, run.references).items()
        if network.key not in keys
    ]
    beside, seeds = f"{folder}-beside-{best.network.key}", len(best.accuracies)
    if known:  # a checkpoint's network may be among those that were found
        finalists += _trained(run, beside, known, seeds, 0, engine, say, quiet)
    if len(finalists) < 2:
        raise NasError(f"{run.path}: no final, too few networks were trained on all seeds")
    accuracies = [accuracy for finalist in finalists for accuracy in finalist.accuracies]
    final = conclude(len(run.trials), finalists, settings.objective, at_chance(accuracies, engine.describe()))
    if final != run.history.final:
        run.study.record({"event": "final", "final": schema.to_plain(final)})
    write_atomic(run.path / "best.yaml", winner_yaml(run, final))
    return final


def _trained(
    run: StudyRun,
    folder: str,
    who: Sequence[Contestant],
    seeds: int,
    follow: int,
    engine: Engine,
    say: Say,
    quiet: bool,
) -> list[Finalist]:
    """Train networks on all seeds, as far as the time reaches; those that were.

    Args:
        run: The search, finished.
        folder: Of the trainings, in the final's.
        who: The networks.
        seeds: How many.
        follow: Networks that are trained on as many seeds after them.
        engine: Runs trainings.
        say: Takes each line for the user.
        quiet: Show no progress.
    """
    settings = run.settings
    plan = [(place, 0, seed) for seed in range(1, seeds + 1) for place in range(len(who))]
    networks = [contestant.network for contestant in who]
    space = CandidateSpace(f"final of {settings.space}", networks, (settings.final_longer,), seeds)
    with planned_study(run.path, (FOLDER, folder), space, plan, settings) as study:
        left = len(missing(study, plan))
        if left and not quiet:
            longer = f"{settings.final_longer} times as long as the search's"
            say(f"Final: {left} trainings of {_networks(len(who))}, {longer}")
        if follow:
            _keep_time(study, run, len(who), follow)
        with FinalProgress(study, quiet=quiet) as progress:
            for trial in study.run(engine):
                progress.update(trial)
        unfinished = {seed for _, _, seed in missing(study, plan)}
        if unfinished:
            say(f"The time is over after {seeds - len(unfinished)} of {seeds} seeds")
        return _finalists(study, who, [tokens for tokens in plan if tokens[2] not in unfinished], say)


def _keep_time(study: Study, run: StudyRun, networks: int, follow: int) -> None:
    """Begin no seed that would not end in time, with those that follow and the winner's last, on a run with a time."""
    clock = run.clock
    if clock is None:
        return
    share = known_share(run.references.values(), clock.each())

    def has_time() -> bool:
        seconds = [trial.evaluation.seconds for trial in study.trials if trial.evaluation]
        if len(seconds) < LEAST_SEEDS * networks:
            return True
        seeds = len(seconds) // networks + 1
        after = math.ceil(share * follow * seeds) + clock.workers
        return clock.fits(networks + after, sum(seconds) / len(seconds))

    study.batch_size, study.has_time = networks, has_time


def known_share(known: Iterable[Evaluation], each: float) -> float:
    """How long known networks train, as a share of what the search's do, by what both took in the search; at most 1.

    Args:
        known: Their evaluations.
        each: Seconds of one of the search's: less than of its best, as these are often among the slower ones.
    """
    seconds = [evaluation.seconds for evaluation in known if evaluation.status == "ok"]
    return min(1.0, sum(seconds) / len(seconds) / each) if seconds and each else 1.0


def winner_yaml(run: StudyRun, final: Final) -> str:
    """The winner with what the final found, and where it comes from."""
    settings, winner = run.settings, final.finalists[0]
    cost, mean = count(winner.network), mean_of(winner.accuracies)
    metrics = {"macs": cost.macs, "params": cost.params, "accuracy": mean.mean, "standard_error": mean.standard_error}
    provenance = {
        "run": run.path.name,
        "final": winner.name,
        "verdict": final.verdict,
        "accuracies": winner.accuracies,
        "longer": settings.final_longer,
        "seed": settings.seed,
        "space": settings.space,
        "key": winner.network.key,
        "evaluator": settings.evaluator.name,
        "data": config.images_of(settings.evaluator),
        "versions": config.versions(),
    }
    return winner.network.to_yaml(name=f"{run.path.name}-final", metrics=metrics, provenance=provenance)


def _trainings(run: StudyRun) -> int:
    """What the search's trainings cost, in those of usual length: one that went on cost the difference."""
    longer = [measurement_of(run.space, trial.tokens) for trial in run.trials if trial.repeat_of is None]
    return sum((how.fidelity - 1 or 1) if how else 1 for how in longer)


def _finalists(study: Study, who: Sequence[Contestant], plan: Sequence[Tokens], say: Say) -> list[Finalist]:
    """Those that were trained on all seeds; of the others it is said why not."""
    results = {trial.tokens: trial.evaluation for trial in study.trials}
    finalists = []
    for place, contestant in enumerate(who):
        found = [results[tokens] for tokens in plan if tokens[0] == place]
        accuracies = [evaluation.accuracy for evaluation in found if evaluation and evaluation.accuracy is not None]
        if len(accuracies) == len(found):
            finalists.append(
                Finalist(
                    name=contestant.name,
                    role=contestant.role,
                    network=contestant.network,
                    accuracies=tuple(accuracies),
                )
            )
        else:
            failed = next(evaluation for evaluation in found if evaluation and evaluation.accuracy is None)
            say(f"{contestant.name} is left out of the final: {failed.status}: {failed.reason}")
    return finalists
