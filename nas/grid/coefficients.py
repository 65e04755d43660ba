"""The compound coefficients: found by ``nas-grid``, used by ``nas-scale``, kept in coefficients.yaml.

EfficientNet, arXiv:1905.11946, equation 3: depth alpha^phi, width beta^phi, resolution gamma^phi.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import schema, strict_yaml
from search_space.io.files import read_text
from search_space.scaling import compound

FORMAT = "nas-coefficients/1"


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
            if not (math.isfinite(value) and 1 <= value <= 10):
                raise InputError(f"{name} must be a number from 1 to 10, got {value}")

    @property
    def product(self) -> float:
        """What one step of phi costs before rounding: alpha * beta^2 * gamma^2."""
        return self.alpha * self.beta**2 * self.gamma**2

    def scale(self, baseline: Architecture, phi: float) -> Architecture:
        """The member of the baseline's family at phi.

        Raises:
            InputError: phi below 0 or above 100, or a network beyond what an architecture may be.
        """
        if not 0 <= phi <= 100:
            raise InputError(f"phi must be a number from 0 to 100, got {phi:g}")
        return compound(baseline, self.alpha, self.beta, self.gamma, phi)

    def __str__(self) -> str:
        return f"{self.alpha:g} / {self.beta:g} / {self.gamma:g}"


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
