from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.grid.coefficients import PAPER, Coefficients, member_name, read
from search_space.architecture import Architecture, Stage
from search_space.cost import count
from search_space.errors import InputError

PLAIN = Architecture(
    resolution=96,
    classes=12,
    stages=(
        Stage(op="conv", kernel=3, channels=24, layers=2, skip="pool"),
        Stage(op="mbconv", expand=4, kernel=5, stride=2, channels=40, layers=3, se=0.25, skip="pool"),
        Stage(op="conv", kernel=5, stride=2, channels=64, layers=2, skip="none"),
    ),
    head=512,
    activation="relu",
)
NETWORKS = {
    "b0": Architecture.load("efficientnet-b0"),
    "a1": Architecture.load("mnasnet-a1"),
    "plain": PLAIN,
}


def test_the_product_of_the_paper() -> None:
    assert PAPER.product == pytest.approx(1.2 * 1.21 * 1.3225)
    assert str(PAPER) == "1.2 / 1.1 / 1.15"


@pytest.mark.parametrize("name", NETWORKS)
def test_phi_zero_gives_back_the_baseline(name: str) -> None:
    assert PAPER.scale(NETWORKS[name], 0) == NETWORKS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_scaling_is_monotone_in_phi(name: str) -> None:
    members = [PAPER.scale(NETWORKS[name], phi / 2) for phi in range(-6, 15)]
    assert members[6] == NETWORKS[name]
    for smaller, larger in itertools.pairwise(members):
        assert larger.resolution >= smaller.resolution
        assert larger.stem >= smaller.stem
        assert larger.head >= smaller.head
        for before, after in zip(smaller.stages, larger.stages, strict=True):
            assert after.channels >= before.channels
            assert after.layers >= before.layers
        assert count(larger).macs >= count(smaller).macs
        assert count(larger).params >= count(smaller).params
    assert count(members[-1]).macs > 40 * count(members[6]).macs
    assert count(members[0]).macs < 0.4 * count(members[6]).macs


def test_a_network_of_another_space_keeps_its_operators() -> None:
    scaled = PAPER.scale(PLAIN, 1)
    assert scaled.resolution == 110  # 96 * 1.15 = 110.4
    assert [stage.channels for stage in scaled.stages] == [24, 48, 72]  # 26.4, 44, 70.4
    assert [stage.layers for stage in scaled.stages] == [3, 4, 3]
    assert [(s.op, s.kernel, s.skip) for s in scaled.stages] == [(s.op, s.kernel, s.skip) for s in PLAIN.stages]
    assert (scaled.classes, scaled.activation) == (12, "relu")


@given(phis=st.tuples(st.floats(-7, 10), st.floats(-7, 10)), bases=st.tuples(*[st.floats(1, 1.4)] * 3))
def test_more_never_costs_less(phis: tuple[float, float], bases: tuple[float, float, float]) -> None:
    triple = Coefficients(alpha=bases[0], beta=bases[1], gamma=bases[2])
    smaller, larger = (count(triple.scale(PLAIN, phi)) for phi in sorted(phis))
    assert smaller.macs <= larger.macs
    assert smaller.params <= larger.params


@given(macs=st.integers(5_000_000, 40_000_000_000))
@settings(max_examples=20)
def test_a_budget_gives_the_nearest_member(macs: int) -> None:
    baseline = NETWORKS["b0"]
    phi = PAPER.phi_at(baseline, macs)
    away = abs(count(PAPER.scale(baseline, phi)).macs - macs)
    others = [PAPER.scale(baseline, phi + step * 10**-digit) for digit in (2, 3, 4, 5) for step in (-1, 1)]
    others += [PAPER.scale(baseline, step / 4) for step in range(-38, 28)]
    assert away <= min(abs(count(other).macs - macs) for other in others)


def test_the_baselines_own_cost_gives_the_baseline() -> None:
    for baseline in NETWORKS.values():
        assert PAPER.phi_at(baseline, count(baseline).macs) == 0
    assert PAPER.phi_at(PLAIN, count(PAPER.scale(PLAIN, 1)).macs) == 1


@pytest.mark.parametrize("macs", [1000, 10**17])
def test_a_budget_outside_the_family(macs: int) -> None:
    with pytest.raises(InputError, match=r"from phi -10\.00 to 17\.\d\d the network's MACs go from 3\.372M to 36\.83T"):
        PAPER.phi_at(NETWORKS["b0"], macs)


def test_names_of_members() -> None:
    assert [member_name("b0", phi) for phi in (-2, -0.5, 0.0, 3)] == ["b0-minus-2", "b0-minus-0.5", "b0-0", "b0-3"]


@pytest.mark.parametrize("phi", [-10.5, 101, 1e9, float("nan"), float("inf")])
def test_phi_that_means_nothing(phi: float) -> None:
    with pytest.raises(InputError, match="phi must be a number from -10 to 100, got"):
        PAPER.scale(PLAIN, phi)


@pytest.mark.parametrize("value", [0.9, -1.0, 11.0, float("nan")])
def test_bases_below_one_or_beyond_reason(value: float) -> None:
    with pytest.raises(InputError, match="beta must be a number from 1 to 10, got"):
        Coefficients(alpha=1.0, beta=value, gamma=1.0)


def test_reading_ignores_the_evidence(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("format: nas-coefficients/1\nalpha: 1.3\nbeta: 1\ngamma: 1.25\nevidence: {seed: 0}\n")
    assert read(path) == Coefficients(alpha=1.3, beta=1.0, gamma=1.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha: 1", r"c\.yaml: not coefficients: format must be nas-coefficients/1, got None"),
        ("[1, 2]", r"c\.yaml: not coefficients"),
        ("format: nas-coefficients/1\nalpha: 1.2\nbeta: 1.1\n", r"c\.yaml: missing key 'gamma'"),
        ("format: nas-coefficients/1\nalpha: x\nbeta: 1\ngamma: 1\n", r"c\.yaml: alpha: expected a number, got 'x'"),
        (
            "format: nas-coefficients/1\nalpha: 0.5\nbeta: 1\ngamma: 1\n",
            r"c\.yaml: alpha must be a number from 1 to 10",
        ),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "c.yaml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read(tmp_path / "none.yaml")
