"""What a person sees of a grid search: the plan before, the progress during, the finding after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evaluator.base import Evaluation
from nas import cli
from nas.amounts import format_amount
from nas.coefficients import PAPER, Coefficients
from nas.comparison import CONFIDENCE, Difference
from nas.grid import Candidate, Grid
from nas.grid_config import GridConfig
from nas.grid_result import Finding, family
from nas.halving import CANDIDATE, FIDELITY, HalvingConfig, rung_size
from nas.progress import SearchProgress
from nas.study import Study, Trial
from search_space.architecture import Architecture
from search_space.cost import count


def planned(grid: Grid, settings: GridConfig, halving: HalvingConfig) -> list[int]:
    """Most trainings that each rung can take: the networks kept in may be among its best anyway."""
    number = len(grid.candidates)
    sizes = [min(number, rung_size(number, rung, halving) + len(halving.seeded)) for rung in range(halving.rungs)]
    return [*sizes[:-1], sizes[-1] * settings.repeats]


def work(grid: Grid, settings: GridConfig, trainings: Sequence[int]) -> float:
    """All trainings as a multiple of one training of the baseline at the first length."""
    ratio = sum(candidate.ratio for candidate in grid.candidates) / len(grid.candidates)
    return ratio * sum(n * rung for n, rung in zip(trainings, settings.rungs, strict=True))


def show_grid(grid: Grid, settings: GridConfig, trainings: Sequence[int], paper: int | None) -> None:
    """Print how many triples and networks there are, what each really costs, and how many trainings follow."""
    bounds, ratios = settings.bounds, [network.ratio for network in grid.networks]
    cli.say(
        f"{len(grid.triples)} triples with alpha * beta^2 * gamma^2 within {bounds.tolerance:g} of "
        f"{bounds.product:.4g} build {len(grid.networks)} distinct networks, which really cost {min(ratios):.2f} to "
        f"{max(ratios):.2f} times the baseline at phi {settings.phi:g}"
    )
    if settings.constraint == "realised":
        cli.say(
            f"With resolutions fitted, {len(grid.candidates)} networks cost {bounds.target:.4g} times the baseline "
            f"within {bounds.band:.1%} (--constraint nominal compares all, at unequal cost)"
        )
    table = _table("candidate", "alpha", "beta", "gamma", "pixels", "MACs", "ratio", "triples")
    for number, candidate in enumerate(grid.candidates):
        mark = f"{number} (paper)" if number == paper else str(number)
        table.add_row(mark, *_columns(candidate), str(len(candidate.triples)))
    _console().print(table)
    lengths = ", ".join(f"{n} at {rung}x" for n, rung in zip(trainings, settings.rungs, strict=True))
    cli.say(f"At most {sum(trainings)} trainings: {lengths} the epochs, the last over {settings.repeats} seeds")


def show_time(baseline: Evaluation, left: float) -> None:
    """Print how long the trainings that are left take."""
    if baseline.status == "ok":
        minutes = baseline.seconds * left / 60
        cli.say(f"The baseline took {baseline.seconds:.1f} s; what is left takes about {minutes:.1f} minutes\n")
    else:
        cli.say(f"How long that takes is unknown: the baseline ended as {baseline.status}: {baseline.reason}\n")


class GridProgress(SearchProgress):
    """Shows the rung and the time left, by the work of trainings of unequal length."""

    title = "grid"

    def __init__(self, study: Study, grid: Grid, settings: GridConfig, trainings: Sequence[int], *, quiet: bool):
        self._grid = grid
        self._settings = settings
        self._all_work = work(grid, settings, trainings)
        super().__init__(study, quiet=quiet)

    def found(self) -> str:
        """The rung; scores of different rungs are no match for each other."""
        rung = self.study.trials[-1].tokens[FIDELITY] if self.study.trials else 0
        return f"rung {rung + 1} of {len(self._settings.rungs)}"

    def done_work(self) -> float:
        """The finished trials' share of `all_work`."""
        return sum(self._work(trial) for trial in self.study.trials if trial.evaluation is not None)

    def all_work(self) -> float:
        """See `work`."""
        return self._all_work

    def _work(self, trial: Trial) -> float:
        return self._settings.rungs[trial.tokens[FIDELITY]] * self._grid.candidates[trial.tokens[CANDIDATE]].ratio


def show_finding(path: Path, grid: Grid, settings: GridConfig, finding: Finding, paper: int | None) -> None:
    """Print the finalists, how sure the winner is, the family, and where to find it."""
    table = _table("finalist", "alpha", "beta", "gamma", "pixels", "MACs", "ratio", "accuracy", "loss")
    for score in finding.scores:
        mark = f"{score.candidate} (paper)" if score.candidate == paper else str(score.candidate)
        mean = f"{score.accuracy.mean:.2%} +- {score.accuracy.standard_error:.2%}"
        loss = f"{sum(score.losses) / len(score.losses):.4f}" if score.losses else "-"
        table.add_row(mark, *_columns(grid.candidates[score.candidate]), mean, loss)
    cli.say(f"\nFinalists at {settings.rungs[-1]}x the epochs, mean and standard error over {settings.repeats} seeds:")
    _console().print(table)
    winner = grid.candidates[finding.winner]
    product = winner.coefficients.product
    cli.say(
        f"\nWinner: alpha / beta / gamma = {winner.coefficients}; rounding aside, a step of phi costs x{product:.3f}"
    )
    _say_triples(winner)
    for line in verdicts(grid, finding, paper):
        cli.say(line)
    cli.say()
    members = family(settings, winner.coefficients)
    cli.say(f"The family of {settings.name}; ratio is MACs over those of the one before:")
    show_family(members, winner.coefficients)
    if len(members) <= settings.family:
        cli.say(f"The family ends at phi {len(members) - 1}: beyond, a network exceeds what an architecture may be")
    cli.say(f"\nCoefficients: {path / 'coefficients.yaml'}\nFamily:       {path / 'family'}")


def verdicts(grid: Grid, finding: Finding, paper: int | None) -> Iterable[str]:
    """Whether the winner is distinguishable from the runner-up and from the paper's triple, with the figures."""
    for name, rival, lead in finding.against:
        triple = grid.candidates[rival].coefficients
        who = f"the runner-up, {triple}" if name == "runner-up" else f"the paper's {PAPER} (as {triple})"
        yield f"Against {who}: {_interval(lead)}"
    if finding.winner == paper:
        yield f"The winner is the network that the paper's {PAPER} builds"
    elif paper is None:
        yield f"The paper's {PAPER} is outside the constraint: not compared"
    elif all(name != "paper" for name, _, _ in finding.against):
        yield f"The paper's {PAPER} was not trained on all seeds: not compared"


def show_family(members: Sequence[Architecture], coefficients: Coefficients) -> None:
    """Print the family's table, phi 0, 1, ..."""
    table = _table("phi", "depth", "width", "pixels", "MACs", "parameters", "ratio")
    before = None
    for phi, member in enumerate(members):
        cost = count(member)
        factors = (f"{coefficients.alpha**phi:.2f}", f"{coefficients.beta**phi:.2f}", str(member.resolution))
        ratio = f"{cost.macs / before:.2f}" if before else "-"
        macs, params = format_amount(cost.macs), format_amount(cost.params)
        table.add_row(str(phi), *factors, macs, params, ratio)
        before = cost.macs
    _console().print(table)


def _say_triples(winner: Candidate) -> None:
    if len(winner.triples) > 1:
        alphas, betas = {t.alpha for t in winner.triples}, {t.beta for t in winner.triples}
        cli.say(
            f"Rounding makes {len(winner.triples)} triples this network: alpha {min(alphas):g} to {max(alphas):g}, "
            f"beta {min(betas):g} to {max(betas):g}; the one whose product is nearest to right stands for them"
        )


def _interval(lead: Difference) -> str:
    verdict = "distinguishable" if lead.distinguishable else "not distinguishable"
    return (
        f"{lead.mean * 100:+.2f} points of accuracy, standard error {lead.standard_error * 100:.2f}, "
        f"{CONFIDENCE:.0%} interval {lead.low * 100:+.2f} to {lead.high * 100:+.2f}: {verdict}"
    )


def _columns(candidate: Candidate) -> tuple[str, ...]:
    c, macs = candidate.coefficients, count(candidate.architecture).macs
    triple = (f"{c.alpha:g}", f"{c.beta:g}", f"{c.gamma:.4g}")
    return (*triple, str(candidate.architecture.resolution), format_amount(macs), f"{candidate.ratio:.3f}")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)
