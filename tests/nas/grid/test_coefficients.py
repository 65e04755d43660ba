from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nas.grid.coefficients import PAPER, Coefficients, read
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
    members = [PAPER.scale(NETWORKS[name], phi / 4) for phi in range(17)]
    for smaller, larger in itertools.pairwise(members):
        assert larger.resolution >= smaller.resolution
        assert larger.stem >= smaller.stem
        assert larger.head >= smaller.head
        for before, after in zip(smaller.stages, larger.stages, strict=True):
            assert after.channels >= before.channels
            assert after.layers >= before.layers
        assert count(larger).macs >= count(smaller).macs
        assert count(larger).params >= count(smaller).params
    assert count(members[-1]).macs > 8 * count(members[0]).macs


def test_a_network_of_another_space_keeps_its_operators() -> None:
    scaled = PAPER.scale(PLAIN, 1)
    assert scaled.resolution == 110  # 96 * 1.15 = 110.4
    assert [stage.channels for stage in scaled.stages] == [24, 48, 72]  # 26.4, 44, 70.4
    assert [stage.layers for stage in scaled.stages] == [3, 4, 3]
    assert [(s.op, s.kernel, s.skip) for s in scaled.stages] == [(s.op, s.kernel, s.skip) for s in PLAIN.stages]
    assert (scaled.classes, scaled.activation) == (12, "relu")


@pytest.mark.parametrize("phi", [-1, -0.5, 101, 1e9, float("nan"), float("inf")])
def test_phi_that_means_nothing(phi: float) -> None:
    with pytest.raises(InputError, match="phi must be a number from 0 to 100, got"):
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
