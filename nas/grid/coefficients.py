"""The compound coefficients: found by ``nas-grid``, used by ``nas-scale``, kept in coefficients.yaml.

EfficientNet, arXiv:1905.11946, equation 3: depth alpha^phi, width beta^phi, resolution gamma^phi.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.io import schema, strict_yaml
from search_space.io.amounts import format_amount
from search_space.io.files import read_text
from search_space.scaling import compound

FORMAT = "nas-coefficients/1"
PHIS = (-10, 100)
"""Smallest and largest phi; most networks end before."""
MOST_BASE = 10
"""Largest base; more is a slip."""
_DIGITS = 6
"""Of a phi that is looked for, after the point."""
_BEYOND = 10**30
"""MACs of what no architecture may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """One triple.

    Raises:
        InputError: A coefficient below 1 or beyond reason.
    """

    alpha: float
    """Depth base."""
    beta: float
    """Width base."""
    gamma: float
    """Resolution base."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and 1 <= value <= MOST_BASE):
                raise InputError(f"{name} must be a number from 1 to {MOST_BASE}, got {value}")

    @property
    def product(self) -> float:
        """What one step of phi costs before rounding: alpha * beta^2 * gamma^2."""
        return self.alpha * self.beta**2 * self.gamma**2

    def scale(self, baseline: Architecture, phi: float) -> Architecture:
        """The member of the baseline's family at phi.

        Raises:
            InputError: phi outside `PHIS`, an image too small for the baseline's strides, or a network beyond what an
                architecture may be.
        """
        low, high = PHIS
        if not low <= phi <= high:
            raise InputError(f"phi must be a number from {low} to {high}, got {phi:g}")
        return compound(baseline, self.alpha, self.beta, self.gamma, phi)

    def phi_at(self, baseline: Architecture, macs: int) -> float:
        """The phi of the family's member whose MACs are nearest to `macs`: the largest of those that cost the same.

        Raises:
            InputError: The family ends above or below `macs`; what is possible.
        """

        def cost(step: int) -> int:
            try:
                return count(self.scale(baseline, step / 10**_DIGITS)).macs
            except InputError:
                return -1 if step < 0 else _BEYOND

        low, high = (bound * 10**_DIGITS for bound in PHIS)
        every = range(low, high + 1)
        steps = every[bisect.bisect_left(every, 0, key=cost) : bisect.bisect_left(every, _BEYOND, key=cost)]
        least, most = cost(steps[0]), cost(steps[-1])
        if not least <= macs <= most:
            raise InputError(
                f"target_flops {format_amount(macs)}: from phi {steps[0] / 10**_DIGITS:.2f} to "
                f"{steps[-1] / 10**_DIGITS:.2f} the network's MACs go from {format_amount(least)} to "
                f"{format_amount(most)}"
            )
        above = bisect.bisect_left(steps, macs, key=cost)
        nearest = min(map(cost, steps[max(0, above - 1) : above + 1]), key=lambda own: abs(own - macs))
        return self._shortest(baseline, steps[bisect.bisect_right(steps, nearest, key=cost) - 1] / 10**_DIGITS)

    def _shortest(self, baseline: Architecture, phi: float) -> float:
        """The phi of the same network with the fewest digits."""
        network = self.scale(baseline, phi)
        rounded = (round(phi, digits) + 0.0 for digits in range(_DIGITS))  # + 0.0: -0.0 is 0.0
        return next((short for short in rounded if self.scale(baseline, short) == network), phi)

    def __str__(self) -> str:
        return f"{self.alpha:g} / {self.beta:g} / {self.gamma:g}"


def member_name(name: str, phi: float) -> str:
    """What the family's member at phi is called, after its baseline: ``mine-2``, ``mine-minus-2``."""
    return f"{name}-{phi:g}" if phi >= 0 else f"{name}-minus-{-phi:g}"


PAPER = Coefficients(alpha=1.2, beta=1.1, gamma=1.15)
"""What the paper's grid found for EfficientNet-B0 (section 4, step 1)."""


def read(path: Path) -> Coefficients:
    """The triple of a coefficients.yaml; its evidence is for people.

    Raises:
        InputError: Not there, not YAML, another format, or a triple that is missing or wrong.
    """
    document = strict_yaml.load(read_text(path, strict_yaml.MAX_BYTES), str(path))
    found = document.get("format") if isinstance(document, dict) else None
    if not isinstance(document, dict) or found != FORMAT:
        raise InputError(f"{path}: not coefficients: format must be {FORMAT}, got {found!r}")
    triple = {name: document[name] for name in ("alpha", "beta", "gamma") if name in document}
    return schema.from_mapping(Coefficients, triple, str(path))
