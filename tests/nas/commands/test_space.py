import re
import subprocess
import sys
from pathlib import Path

import pytest

from nas.commands.space import main
from search_space.architecture import Architecture, read_document
from search_space.cost import count
from search_space.space import SearchSpace

ROOT = Path(__file__).parents[3]


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "efficientnet"]) == 0
    out = capsys.readouterr().out
    space = SearchSpace.load("efficientnet")
    low, high = space.macs_range()
    assert f"{space.size:,}" in out
    assert f"{low:,} to {high:,}" in out
    assert "block5.channels 72, 96, 112" in out
    shares = [float(share) for share in re.findall(r"(\d+\.\d)%  +\d", out)]
    assert len(shares) == 12
    assert sum(shares) == pytest.approx(100, abs=1)
    assert "100.0%" in out
    main(["show", "efficientnet"])
    assert capsys.readouterr().out == out
    main(["show", "efficientnet", "--seed", "1"])
    assert capsys.readouterr().out != out


def test_a_size_and_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--resolution", "32", "--classes", "10", "--target-flops", "10M"]
    assert main(["show", *size]) == 0
    out = capsys.readouterr().out
    assert "images      32 pixels, 10 classes" in out
    assert "reference   6.396M multiply-adds, its channels times 0.275" in out
    assert "block2.stride   1, 2" in out
    assert main(["sample", *size, "--macs", "5M-15M"]) == 0
    architecture, metadata = read_document(capsys.readouterr().out, "sample")
    assert (architecture.resolution, architecture.classes) == (32, 10)
    assert 5e6 <= metadata["metrics"]["macs"] == count(architecture).macs <= 15e6
    assert main(["check", "efficientnet", "efficientnet-b0", *size]) == 1
    assert main(["show", "--target-flops", "100K"]) == 2
    assert "outside the space efficientnet at 224 pixels and 1000 classes: 5.242M to" in capsys.readouterr().err


def test_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", "efficientnet", "efficientnet-b0"]) == 0
    assert capsys.readouterr().out == "efficientnet contains efficientnet-b0\n"
    assert main(["check", "mnasnet", "efficientnet-b0"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "mnasnet does not contain efficientnet-b0:",
        "  activation: silu is not among relu",
        "  block5.channels: 112 is not among 72, 96, 120",
        "  block6.channels: 192 is not among 120, 160, 200",
    ]
    path = tmp_path / "mine.yaml"
    path.write_text(Architecture.load("mnasnet-a1").to_yaml())
    assert main(["check", "efficientnet", str(path)]) == 0


def test_sample_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "efficientnet", "--macs", "380M-450M", "-n", "3", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    space = SearchSpace.load("efficientnet")
    documents = out.split("---\n")
    assert len(documents) == 3
    for document in documents:
        architecture, metadata = read_document(document, "sample")
        assert 380e6 <= count(architecture).macs <= 450e6
        assert metadata["metrics"]["macs"] == count(architecture).macs
        assert space.contains(architecture)
    main(["sample", "efficientnet", "--macs", "380M-450M", "-n", "1", "--seed", "5"])
    assert capsys.readouterr().out == documents[0]


def test_sample_to_files_overwrites_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert main(["sample", "accel-nasbench", "-n", "2", "-o", str(folder)]) == 0
    names = [folder / f"accel-nasbench-0-{i}.yaml" for i in range(2)]
    assert capsys.readouterr().out.split() == [str(name) for name in names]
    assert sorted(folder.iterdir()) == names
    before = [name.read_text() for name in names]
    names[0].unlink()
    assert main(["sample", "accel-nasbench", "-n", "2", "-o", str(folder)]) == 2
    assert "accel-nasbench-0-1.yaml: exists already; nothing is overwritten" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == names[1:]
    assert names[1].read_text() == before[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "mnastnet"], "unknown search space 'mnastnet' (did you mean 'mnasnet'?): known are accel-nasbench"),
        (["check", "mnasnet", "b0"], "unknown architecture 'b0'"),
        (["sample", "mnasnet", "--macs", "banana"], "--macs: expected two amounts"),
        (
            ["sample", "mnasnet", "--macs", "1M-2M"],
            "1,000,000 to 2,000,000 MACs is outside the space mnasnet: 46,027,192",
        ),
        (["show", "x" * 300], "unknown search space 'xxx"),
        (["check", "mnasnet", "x" * 300], "unknown architecture 'xxx"),
        (["import", "x" * 300], "unknown network 'xxx"),
        (["import", "mnasnet_a1", "-o", "x" * 300], "File name too long"),
        (["sample", "mnasnet", "-o", "/dev/null/x"], "/dev/null/x: cannot be written: Not a directory"),
        (["sample", "mnasnet", "-n", "9" * 5000], "argument -n/--number: invalid int value: '999"),
        (["sample", "mnasnet", "-n", "0"], "-n: must be from 1 to 100000, got 0"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_it_starts_without_torch() -> None:
    code = "import sys, nas.commands.space; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_command_writes_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "blocks.txt").write_text("ds_r1_k3_s1_c16  # first\nir_r2_k5_s2_e3_c24_se0.25\n")
    target = tmp_path / "mine.yaml"
    flags = ["--stem", "16", "--head", "64", "--resolution", "32", "--classes", "7", "--name", "mine"]
    assert main(["import", str(tmp_path / "blocks.txt"), "-o", str(target), *flags]) == 0
    architecture = Architecture.load(target)
    assert (architecture.stem, architecture.head, architecture.resolution, architecture.classes) == (16, 64, 32, 7)
    assert [stage.se for stage in architecture.stages] == [0.0, 0.25]
    assert main(["import", "efficientnet_b1"]) == 0
    assert "resolution: 240" in capsys.readouterr().out
    assert main(["import", "efficientnet_b1", "-o", str(target)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert Architecture.load(target) == architecture
