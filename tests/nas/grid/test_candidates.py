from __future__ import annotations

from nas.grid.candidates import CandidateSpace
from nas.study import Measurement
from search_space.architecture import Architecture

B0 = Architecture.load("efficientnet-b0")
RUNGS = (1, 2, 4)


def test_a_space_measures_the_same_network_in_several_ways() -> None:
    space = CandidateSpace("toys", [B0], RUNGS, repeats=2)
    assert space.decode((0, 2, 1)) == B0
    assert space.measurement((0, 2, 1)) == Measurement(fidelity=4, repeat=1)
    assert space.measurement((0, 0, 0)) == Measurement(fidelity=1, repeat=0)
