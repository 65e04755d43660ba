from __future__ import annotations

from pathlib import Path

import pytest

from nas.commands.scale import main
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.io import strict_yaml
from tests.nas.grid.test_coefficients import PLAIN

B0 = Architecture.load("efficientnet-b0")
RELEASED = {
    "b0": (385.8, 5_288_548),
    "b1": (686.8, 7_794_184),
    "b2": (993.6, 9_109_994),
    "b3": (1827, 12_233_232),
    "b4": (4394, 19_341_616),
    "b5": (10266, 30_389_784),
    "b6": (19068, 43_040_704),
    "b7": (37746, 66_347_960),
    "b8": (62597, 87_413_142),
}


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_family(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / f"{name}.yaml"
    assert main(["efficientnet-b0", "--published", name, "-o", str(out)]) == 0
    macs, params = RELEASED[name]
    cost = count(Architecture.load(out))
    assert round(cost.macs / 1e6, 1 if macs < 1000 else 0) == macs
    assert cost.params == params
    assert capsys.readouterr().out.endswith(f"{out}\n")


def test_phi_zero_is_the_baseline_and_half_is_between(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for phi in ("0", "0.5", "1"):
        assert main(["efficientnet-b0", "--phi", phi]) == 0
        scaled = Architecture.from_yaml(capsys.readouterr().out)
        sizes.append(scaled)
    assert sizes[0] == B0
    assert [network.resolution for network in sizes] == [224, 240, 258]
    assert count(sizes[0]).macs < count(sizes[1]).macs < count(sizes[2]).macs


def test_coefficients_from_a_file_and_from_flags_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN.to_yaml(name="mine"))
    (tmp_path / "c.yaml").write_text("format: nas-coefficients/1\nalpha: 1.3\nbeta: 1.05\ngamma: 1.2\n")
    plain = str(tmp_path / "plain.yaml")
    assert main([plain, "--phi", "2", "--coefficients", str(tmp_path / "c.yaml")]) == 0
    by_file = capsys.readouterr().out
    assert main([plain, "--phi", "2", "--alpha", "1.3", "--beta", "1.05", "--gamma", "1.2"]) == 0
    assert capsys.readouterr().out == by_file
    assert "name: mine-2" in by_file
    assert Architecture.from_yaml(by_file).resolution == round(96 * 1.44)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--phi", "-11"], "phi must be a number from -10 to 100, got -11"),
        (["--phi", "nan"], "phi must be a number from -10 to 100, got nan"),
        (["--phi", "-9", "--gamma", "1.3"], "images of 21 pixels, where the strides of the network need 32 or more"),
        (["--target-flops", "1K"], "target_flops 1K: from phi -10.00 to 17.6"),
        (["--target-flops", "many"], "--target-flops: expected an amount such as 400M"),
        (["--phi", "1", "--target-flops", "1B"], "not allowed with argument"),
        (["--phi", "90"], "layers must be a whole number from 1 to 100"),
        (["--phi", "1", "--alpha", "0.9"], "alpha must be a number from 1 to 10, got 0.9"),
        (["--published", "b9"], "unknown family member 'b9': known are b0"),
        (["--published", "b1", "--beta", "1.1"], "--published b1: leaves no room for --beta"),
        (["--phi", "1", "--beta", "1.1", "--coefficients", "c.yaml"], "--beta: c.yaml already says it"),
        (["--phi", "1", "--coefficients", "none.yaml"], "none.yaml: cannot be read"),
        (["--published", "all", "-o", "x.yaml"], "-o x.yaml: --published all writes a page, whose name ends in .html"),
        (["--phi", "1", "--published", "b1"], "not allowed with argument"),
        ([], "one of the arguments --phi --target-flops --published is required"),
    ],
)
def test_wrong_input_is_one_line(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["efficientnet-b0", *flags]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_smaller_network_and_its_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["efficientnet-b0", "--phi", "-1"]) == 0
    printed = capsys.readouterr()
    assert "name: efficientnet-b0-minus-1" in printed.out
    assert count(Architecture.from_yaml(printed.out)).macs == 301_557_888
    assert main(["efficientnet-b0", "--phi", "-1", "-o", str(tmp_path / "x.yaml")]) == 0
    written = capsys.readouterr()
    assert written.out.startswith(printed.err)
    assert written.err == ""
    rows = [line.split() for line in printed.err.splitlines()]
    assert ["stage", "4", "mbconv6", "3x3", "14", "80", "3", "43.56M", "242.9K"] in rows
    assert ["stage", "4", "mbconv6", "3x3", "13", "72", "3", "31.66M", "203.1K"] in rows
    assert [row[1:] for row in rows if row[:1] == ["all"]] == [["385.8M", "5.289M"], ["301.6M", "4.548M"]]
    assert "301.6M MACs (0.78 times the baseline's), 4.548M parameters, 195 pixels" in printed.err


def test_a_budget_is_met_as_nearly_as_networks_allow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["efficientnet-b0", "--target-flops", "100M"]) == 0
    found = capsys.readouterr().out
    assert count(Architecture.from_yaml(found)).macs == 100_890_880
    phi = strict_yaml.load(found, "printed")["provenance"]["phi"]
    assert main(["efficientnet-b0", "--phi", str(phi)]) == 0
    assert capsys.readouterr().out == found


def test_the_family_beside_published_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["efficientnet-b0", "--published", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert any(line.startswith("Inception-ResNet-v2") for line in lines)
    assert main(["mnasnet-a1", "--published", "all"]) == 2


def test_the_family_beside_published_networks_as_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "published.html"
    assert main(["efficientnet-b0", "--published", "all", "-o", str(page)]) == 0
    assert capsys.readouterr().out.endswith(f"{page}\n")
    assert "EfficientNets beside published networks" in page.read_text()
    assert main(["efficientnet-b0", "--published", "all", "-o", str(page)]) == 2
    assert main(["mnasnet-a1", "--published", "all", "-o", str(tmp_path / "other.html")]) == 2
    assert not (tmp_path / "other.html").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text("mine")
    assert main(["efficientnet-b0", "--phi", "1", "-o", str(tmp_path / "x.yaml")]) == 2
    assert "x.yaml: exists already" in capsys.readouterr().err
    assert (tmp_path / "x.yaml").read_text() == "mine"
