import pytest

from nas.runs.directory import REFERENCE_NETWORK
from nas.trust.measure import scaled_reference
from search_space.architecture import Architecture
from search_space.cost import count

B0 = Architecture.load(REFERENCE_NETWORK)
STEADY = "tests.toys:SteadyEvaluator"


def test_the_reference_is_scaled_to_the_target() -> None:
    assert scaled_reference(B0, 400_000_000) == B0
    for target in (100_000_000, 200_000_000, 1_000_000_000):
        assert count(scaled_reference(B0, target)).macs == pytest.approx(target, rel=0.08)
