"""Given networks, trained by plan on paired seeds: what the trust report and the final share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from controller.planned import Planned
from nas.config import SearchConfig
from nas.grid.candidates import CandidateSpace
from nas.journal import Journal
from nas.problem import make_problem
from nas.runs.directory import JOURNAL, inside
from nas.study import Study
from search_space.decision import Tokens
from search_space.errors import NasError
from search_space.io.files import make_folder
from search_space.seeding import derive_seed


@contextmanager
def planned_study(
    run: Path, folder: Sequence[str], space: CandidateSpace, plan: Sequence[Tokens], settings: SearchConfig
) -> Iterator[Study]:
    """The study of a plan, with what its journal holds of it already; `Study.run` trains what is left.

    Args:
        run: The search's directory.
        folder: Where in it the journal is, e.g. ``trust``, ``24``.
        space: The networks, lengths and seeds.
        plan: (candidate, length, seed) of every training, most important first.
        settings: The search's.

    Raises:
        InputError: Another process writes to the journal, or it is damaged.
        NasError: The journal is of other networks.
    """
    path = inside(run, *folder, JOURNAL)
    make_folder(path.parent)
    with Journal(path) as journal:
        study = Study(
            space=space,
            objective=settings.objective,
            controller=Planned(make_problem(space, settings.objective, None), plan),
            journal=journal,
            num_trials=0,
            batch_size=len(plan),
            seed=derive_seed(settings.seed, folder[0]),
        )
        if any(trial.key != space.decode(trial.tokens).key for trial in study.trials):
            raise NasError(f"{path}: is of other networks; delete its folder to train these")
        known = {trial.tokens for trial in study.trials}
        study.num_trials = len(study.trials) + sum(tokens not in known for tokens in plan)
        yield study


def missing(study: Study, plan: Sequence[Tokens]) -> list[Tokens]:
    """The trainings of a plan that have no result yet."""
    done = {trial.tokens for trial in study.trials if trial.evaluation}
    return [tokens for tokens in plan if tokens not in done]
