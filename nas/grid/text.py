"""What a person reads of a grid search: the plan before, the result after, as texts and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from evaluator.base import Evaluation
from nas.grid.checks import Check, candidate_at
from nas.grid.coefficients import PAPER, Coefficients
from nas.grid.config import GridConfig
from nas.grid.enumeration import Candidate, Grid
from nas.grid.result import GridResult, members
from nas.statistics import CONFIDENCE, Difference
from search_space.architecture import Architecture
from search_space.block import value_of
from search_space.cost import count, count_parts
from search_space.io.amounts import format_amount

Part = str | Table


def describe_grid(grid: Grid, settings: GridConfig, trainings: Sequence[int], paper: int | None) -> list[Part]:
    """How many triples and networks there are, what each really costs, and how many trainings follow."""
    bounds, ratios = settings.bounds, [network.ratio for network in grid.networks]
    parts: list[Part] = [
        f"{len(grid.triples)} triples with alpha * beta^2 * gamma^2 within {bounds.tolerance:g} of "
        f"{bounds.product:.4g} build {len(grid.networks)} distinct networks, which really cost {min(ratios):.2f} to "
        f"{max(ratios):.2f} times the baseline at phi {settings.phi:g}"
    ]
    if settings.constraint == "realised":
        parts.append(
            f"With resolutions fitted, {len(grid.candidates)} networks cost {bounds.target:.4g} times the baseline "
            f"within {bounds.band:.1%} (--constraint nominal compares all, at unequal cost)"
        )
    table = plain_table("candidate", "alpha", "beta", "gamma", "pixels", "MACs", "ratio", "triples")
    for number, candidate in enumerate(grid.candidates):
        mark = f"{number} (paper)" if number == paper else str(number)
        table.add_row(mark, *_columns(candidate), str(len(candidate.triples)))
    own, again = trainings[: len(settings.rungs)], trainings[len(settings.rungs) :]
    lengths = ", ".join(f"{n} at {rung}x" for n, rung in zip(own, settings.rungs, strict=True))
    text = f"At most {sum(trainings)} trainings: {lengths} the epochs, the last over {settings.repeats} seeds"
    checked = "".join(f", {n} at phi {phi:g}" for n, phi in zip(again, settings.check_phi, strict=True))
    return [*parts, table, text + checked]


def describe_time(baseline: Evaluation, left: float, workers: int) -> str:
    """How long the trainings that are left take.

    Args:
        baseline: The timed training.
        left: All that is left, as a multiple of it.
        workers: How many trainings run at a time.
    """
    if baseline.status == "ok":
        minutes = baseline.seconds * left / workers / 60
        at_a_time = f", {workers} trainings at a time" if workers > 1 else ""
        return (
            f"The baseline took {baseline.seconds:.1f} s; what is left takes about {minutes:.1f} minutes{at_a_time}\n"
        )
    return f"How long that takes is unknown: the baseline ended as {baseline.status}: {baseline.reason}\n"


def describe_estimate(seconds: float | None, work: float) -> str:
    """How long all trainings take, from some steps of the baseline's; None where that is not known."""
    if seconds is None:
        return "How long that takes is unknown: the evaluator has no estimate"
    minutes = seconds * work / 60
    return f"The baseline takes about {seconds:.1f} s; all takes about {minutes:.1f} minutes, one after the other"


def describe_result(
    path: Path, grid: Grid, settings: GridConfig, result: GridResult, checks: Sequence[Check]
) -> list[Part]:
    """The finalists, how sure the winner is, whether that lasts, the family, and where to find it."""
    table = plain_table("finalist", "alpha", "beta", "gamma", "pixels", "MACs", "ratio", "accuracy", "loss")
    for score in result.scores:
        mark = f"{score.candidate} (paper)" if score.candidate == result.paper else str(score.candidate)
        loss = f"{sum(score.losses) / len(score.losses):.4f}" if score.losses else "-"
        table.add_row(mark, *_columns(grid.candidates[score.candidate]), str(score.accuracy), loss)
    best, chosen = grid.candidates[result.best], result.coefficients(grid)
    family = members(settings, chosen)
    verdict = f"Winner: alpha / beta / gamma = {chosen}"
    if result.keeps_paper:
        verdict = (
            f"Kept: the paper's alpha / beta / gamma = {chosen}, since {result.keeps_paper} (best: {best.coefficients})"
        )
    parts: list[Part] = [
        f"\nFinalists at {settings.rungs[-1]}x the epochs, mean and standard error over {settings.repeats} seeds:",
        table,
        f"\n{verdict}; rounding aside, a step of phi costs x{chosen.product:.3f}",
        *_triples(best),
        *verdicts(grid, result),
        *describe_checks(grid, settings, result, checks),
        f"\nThe family of {settings.name}; ratio is MACs over those of the one before:",
        family_table(family, chosen),
    ]
    if max(family) < settings.family:
        parts.append(f"The family ends at phi {max(family)}: beyond, a network exceeds what an architecture may be")
    if min(family) > settings.family_from:
        parts.append(f"The family begins at phi {min(family)}: below, images are too small for the network's strides")
    return [*parts, f"\nCoefficients: {path / 'coefficients.yaml'}\nFamily:       {path / 'family'}"]


def verdicts(grid: Grid, result: GridResult) -> Iterable[str]:
    """Whether the best is distinguishable from the runner-up and from the paper's triple, with the figures."""
    for name, rival, lead in result.against:
        triple = grid.candidates[rival].coefficients
        who = f"the runner-up, {triple}" if name == "runner-up" else f"the paper's {PAPER} (as {triple})"
        yield f"Against {who}: {_interval(lead)}"
    if result.best == result.paper:
        yield f"The best is the network that the paper's {PAPER} builds"
    elif result.paper is None:
        yield f"The paper's {PAPER} is not on this grid, or outside the constraint: not compared"
    elif all(name != "paper" for name, _, _ in result.against):
        yield f"The paper's {PAPER} was not trained on all seeds: not compared"


def describe_checks(grid: Grid, settings: GridConfig, result: GridResult, checks: Sequence[Check]) -> list[Part]:
    """The networks at larger phi with their true costs and accuracies, and whether their order held."""
    parts: list[Part] = []
    for check in checks:
        table = plain_table("again", "pixels", "ratio", "made up by", "accuracy")
        for score in check.scores:
            network = candidate_at(check, score, grid, settings)
            cells = (str(network.architecture.resolution), f"{network.ratio:.3f}", network.adjusted or "-")
            table.add_row(rank_of(score.candidate, result), *cells, str(score.accuracy))
        parts += [f"\nAt phi {check.phi:g}, as long and on the same seeds:", table, *check_lines(check, result)]
    return [*parts, *unchecked(settings, checks)]


def unchecked(settings: GridConfig, checks: Sequence[Check]) -> list[str]:
    """At which larger phis nothing could be compared, in a line; none where all were."""
    done = {check.phi for check in checks}
    missing = [f"{phi:g}" for phi in settings.check_phi if phi not in done]
    if not missing:
        return []
    return [f"Not compared at phi {', '.join(missing)}: not all of the best were trained on all seeds"]


def check_lines(check: Check, result: GridResult) -> list[str]:
    """Whether the order held at a larger phi, and the leads there."""
    order = ", ".join(rank_of(score.candidate, result) for score in check.scores)
    now = sorted(check.scores, key=lambda score: -score.accuracy.mean)
    found = "held" if check.held else f"did not hold: {', '.join(rank_of(s.candidate, result) for s in now)}"
    best = rank_of(check.scores[0].candidate, result)
    return [
        f"At phi {check.phi:g} the order ({order}) {found}",
        *(f"At phi {check.phi:g}, {best} against {rank_of(n, result)}: {_interval(lead)}" for n, lead in check.leads),
    ]


def rank_of(number: int, result: GridResult) -> str:
    """What a network of the grid is called: its place there, and whether it is the paper's."""
    place = [score.candidate for score in result.scores].index(number)
    paper = number == result.paper
    if place > 1:
        return "the paper's" if paper else f"number {place + 1}"
    return ("the best", "the runner-up")[place] + (" (the paper's)" if paper else "")


def family_table(members: Mapping[int, Architecture], coefficients: Coefficients) -> Table:
    """The family by phi."""
    table = plain_table("phi", "depth", "width", "pixels", "MACs", "parameters", "ratio")
    before = None
    for phi, member in members.items():
        cost = count(member)
        factors = (f"{coefficients.alpha**phi:.2f}", f"{coefficients.beta**phi:.2f}", str(member.resolution))
        ratio = f"{cost.macs / before:.2f}" if before else "-"
        macs, params = format_amount(cost.macs), format_amount(cost.params)
        table.add_row(str(phi), *factors, macs, params, ratio)
        before = cost.macs
    return table


def stages_table(network: Architecture) -> Table:
    """A network part by part; sides are those of a part's output, in pixels."""
    table = plain_table("part", "operator", "side", "channels", "layers", "MACs", "parameters")
    table.columns[1].justify = "left"
    stages = [f"{value_of('op', stage)} {stage.kernel}x{stage.kernel}" for stage in network.stages]
    stem = f"conv {network.stem_kernel}x{network.stem_kernel}" + (", pool" if network.stem_pool else "")
    head = ["conv 1x1"] if network.head else []
    for part, operator in zip(count_parts(network), (stem, *stages, *head, "linear"), strict=True):
        sizes = map(str, (part.side, part.channels, part.layers))
        table.add_row(part.name, operator, *sizes, format_amount(part.macs), format_amount(part.params))
    cost = count(network)
    table.add_row("all", *[""] * 4, format_amount(cost.macs), format_amount(cost.params))
    return table


def _triples(winner: Candidate) -> list[str]:
    if len(winner.triples) == 1:
        return []
    ranges = []
    for name in ("alpha", "beta", "gamma"):
        values = [getattr(triple, name) for triple in winner.triples]
        low, high = f"{min(values):.4g}", f"{max(values):.4g}"
        ranges.append(f"{name} {low}" + (f" to {high}" if high != low else ""))
    return [
        f"Rounding makes {len(winner.triples)} triples this network: {', '.join(ranges)}; the one whose product is "
        "nearest to right stands for them"
    ]


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


def plain_table(first: str, *others: str) -> Table:
    """An empty table: names on the left, numbers on the right."""
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
