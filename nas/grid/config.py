"""The configuration of a grid search over compound coefficients."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from controller.halving import HalvingConfig
from evaluator.objective import Objective
from nas import config
from nas.config import Component, RunConfig
from nas.grid.candidates import CandidateSpace
from nas.grid.coefficients import PHIS
from nas.grid.enumeration import Bounds, Constraint, Grid
from nas.grid.ways import WAYS, Comparison
from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.errors import InputError, check_fields
from search_space.io import named, schema
from search_space.io.amounts import format_amount, parse_amount

FALLBACK = "efficientnet-b0"
# Two epochs tell little, but they are asked of many networks; the last rung trains three times as long.
_DEFAULTS = {"evaluator": {"name": "proxy", "epochs": 2}}

_MOST_TARGETS = 8  # costs or phis of one run: each is some networks to find, also where a run is only read
_STUDY = {"ratios": [2, 4], "rungs": [1]}


@dataclass(frozen=True, kw_only=True)
class GridConfig(RunConfig):
    """Everything that decides what a grid search does; saved with it."""

    FORMAT: ClassVar[str] = "nas-grid/1"
    FREE: ClassVar[frozenset[str]] = frozenset({"family", "family_from"})

    name: str
    """The baseline's name; the family is named after it."""
    baseline: Architecture
    """The network to scale, in full."""
    compare: tuple[str, ...] = ()
    """Ways of scaling that are compared in a study, in the place of a grid of triples; empty for the grid."""
    ratios: tuple[float, ...] = ()
    """A study's targets: multiples of the baseline's multiply-adds, rising; more may be added when it goes on."""
    check_phi: tuple[float, ...] = ()
    """Larger phis at which a grid's best two networks and the paper's are compared again; more may be added."""
    phi: float = 1.0
    """The compound coefficient at which networks are compared; the paper's step 1 has 1."""
    target_flops: int | None = None
    """Multiply-adds wanted at phi; null for 2^phi times the baseline's."""
    step: float = 0.05
    """Distance of neighbouring coefficients."""
    tolerance: float = 0.1
    """Largest distance of alpha * beta^2 * gamma^2 from 2; 0.05 would leave the paper's own triple out."""
    constraint: Constraint = "realised"
    """``realised``: networks of the same true cost, resolutions fitted; ``nominal``: the paper's, by product alone."""
    band: float = 0.05
    """How far true costs may be from the target, relatively, where the constraint is ``realised``."""
    rungs: tuple[int, ...] = (1, 2, 3)
    """Lengths of training, in the evaluator's epochs: all networks enter the first, about half of them the next."""
    finalists: int = 2
    """Networks that enter the last rung, beside the paper's triple."""
    repeats: int = 5
    """Seeds of each network in the last rung."""
    family: int = 7
    """Members are written up to this phi."""
    family_from: int = 0
    """Members are written from this phi on; those below 0 are smaller than the baseline."""
    seed: int = 0
    """Root of all randomness."""
    evaluator: Component
    """What measures a network's accuracy."""

    def __post_init__(self) -> None:
        check_fields(
            (
                math.isfinite(self.phi) and 0 < self.phi <= 10,
                "phi",
                self.phi,
                "above 0 (there all scale) and at most 10",
            ),
            (_names_files(self.name), "name", self.name, "what a file may be called, without a folder"),
            *self._study_rules(),
            (0.01 <= self.step <= 1, "step", self.step, "0.01 to 1"),
            (0 < self.tolerance <= 1, "tolerance", self.tolerance, "above 0 and at most 1"),
            (0 < self.band <= 1, "band", self.band, "above 0 and at most 1"),
            (_rising(self.rungs), "rungs", list(self.rungs), "rising whole numbers from 1"),
            (self.finalists >= 1, "finalists", self.finalists, "at least 1"),
            (2 <= self.repeats <= 1000, "repeats", self.repeats, "at least 2: one training shows no noise"),
            (0 <= self.family <= PHIS[1], "family", self.family, f"0 to {PHIS[1]}"),
            (PHIS[0] <= self.family_from <= 0, "family_from", self.family_from, f"{PHIS[0]} to 0"),
            (self.seed >= 0, "seed", self.seed, "at least 0"),
        )
        macs = count(self.baseline).macs
        if self.target_flops is not None and self.target_flops <= macs:
            raise InputError(
                f"target_flops {format_amount(self.target_flops)}: the baseline {self.name} alone has "
                f"{format_amount(macs)} MACs, and scaling adds to them; name a larger target or a smaller baseline"
            )

    def _study_rules(self) -> list[tuple[bool, str, object, str]]:
        """What `check_fields` holds `compare`, `ratios` and `check_phi` to."""
        ways, known = list(self.compare), set(self.compare) <= WAYS.keys()
        few = not ways or len(set(ways)) == len(ways) >= 2
        ratios = _climbing(self.ratios, 1, 64) if ways else not self.ratios
        checks = not self.check_phi or (not ways and _climbing(self.check_phi, self.phi, 10))
        return [
            (known and few, "compare", ways, f"two or more of {', '.join(WAYS)}, each once"),
            (
                ratios and bool(ways) == bool(self.ratios),
                "ratios",
                list(self.ratios),
                "up to 8 rising numbers above 1 and at most 64, with compare",
            ),
            (
                checks,
                "check_phi",
                list(self.check_phi),
                "up to 8 rising numbers above phi and at most 10, without compare",
            ),
            (
                not ways or len(self.rungs) == 1,
                "rungs",
                list(self.rungs),
                "one length with compare: all train equally long",
            ),
        ]

    @property
    def bounds(self) -> Bounds:
        """Which triples and networks are compared."""
        macs = count(self.baseline).macs
        target = self.target_flops / macs if self.target_flops else 2.0**self.phi
        return Bounds(
            target=target,
            phi=self.phi,
            step=self.step,
            tolerance=self.tolerance,
            constraint=self.constraint,
            band=self.band,
        )

    @property
    def objective(self) -> Objective:
        """Costs are equal, or unequal by the paper's leave: accuracy alone decides."""
        target = round(self.bounds.target * count(self.baseline).macs)
        return Objective(target_macs=target, alpha=0.0, beta=0.0)

    def space(self, grid: Grid | Comparison) -> CandidateSpace:
        """The grid's or the study's networks, each to be trained in every rung and repeat."""
        networks = [candidate.architecture for candidate in grid.networks_to_train]
        return CandidateSpace(f"scalings of {self.name}", networks, self.rungs, self.repeats)

    def halving(self, seeded: Sequence[int]) -> HalvingConfig:
        """How the trainings are spent, with these candidates kept in."""
        return HalvingConfig(
            rungs=len(self.rungs),
            finalists=self.finalists,
            repeats=self.repeats,
            seeded=tuple(seeded),
            checks=len(self.check_phi),
        )


def resolve(layers: Sequence[Mapping[str, Any]]) -> GridConfig:
    """Merge layers of settings, later ones over earlier ones, into a checked config.

    Raises:
        InputError: Unknown keys or names, wrong types or values; the line names the dotted field.
    """
    merged = config.merge(_DEFAULTS, layers)
    if merged.get("target_flops") is not None:
        merged["target_flops"] = parse_amount(str(merged["target_flops"]), "target_flops")
    if merged.get("compare"):
        merged = _STUDY | merged
    settings = schema.from_mapping(GridConfig, merged, "config")
    cls, evaluator_config = config.make("evaluator", settings.evaluator)
    if settings.compare:  # what is small is trained as it is, not narrower
        side, macs = settings.baseline.resolution, count(settings.baseline).macs
        evaluator_config = cls.deployed_as(evaluator_config, side, macs)
    own = schema.to_plain(cls.scaled_from(evaluator_config, settings.baseline.resolution))
    return dataclasses.replace(settings, evaluator=dataclasses.replace(settings.evaluator, settings=own))


def load_baseline(arch: str | None, runs: Path) -> tuple[str, Architecture, str]:
    """The network to scale: what is named, else the newest run's best, else EfficientNet-B0.

    Args:
        arch: A file or an installed name; None to look for one.
        runs: Where runs are.

    Returns:
        Its name, the network, and one line that says where it comes from.

    Raises:
        InputError: No such file or name, or not an architecture.
    """
    found = sorted(runs.glob("*/best.yaml"), key=lambda path: path.stat().st_mtime)
    source = arch or (str(found[-1]) if found else FALLBACK)
    architecture, metadata = read_document(*named.read_config("architecture", "architectures", source))
    name = str(metadata.get("name") or Path(source).stem)
    why = "" if arch else (" (the newest run's best)" if found else f" (no --arch, and no run in {runs}/)")
    said = f"Baseline {name}{why}: {format_amount(count(architecture).macs)} MACs, {architecture.resolution} pixels"
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name), architecture, said


def _climbing(values: Sequence[float], above: float, most: float) -> bool:
    rising = all(a < b for a, b in itertools.pairwise((above, *values)))
    return rising and max(values, default=most) <= most and len(values) <= _MOST_TARGETS


def _names_files(name: str) -> bool:
    """Whether files named after it lie where they are written: it may come from a stranger's journal."""
    return 0 < len(name) <= 200 and name.isprintable() and not set(name) & set("/\\:")


def _rising(rungs: tuple[int, ...]) -> bool:
    return bool(rungs) and rungs[0] >= 1 and all(a < b for a, b in itertools.pairwise(rungs))
