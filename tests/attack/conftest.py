"""How hard the attack is: a tenth of it in CI, all of it with ``make attack``."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def share() -> float:
    """Of the full attack."""
    return float(os.environ.get("NAS_ATTACK", "0.1"))
