"""What commands print on a terminal of 60, 80 and 120 columns: the kept captures, and that they are of this code."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.terminal.capture import COMMANDS, HERE, WIDTHS, captures

BAR = re.compile("[━╸╺▁▂▃▄▅▆▇█×]+")  # noqa: RUF001 - a cross, as for a failure
LIVE = re.compile(r"loss \d\.\d+|\d+ images/s|\d+:\d\d (?:passed|left)|^(?: +\d|mine ).* \d+\.\d$")
"""What a live line shows where there is room, and rows of a table that end with a time."""


def kept(name: str, width: int) -> list[str]:
    """The lines of a capture, without the command."""
    return (HERE / f"{name}-{width}.txt").read_text(encoding="utf-8").splitlines()[1:]


def unfolded(lines: list[str]) -> str:
    """A command that goes on in the next line, in one."""
    return re.sub(r" \\\n +", " ", "\n".join(lines))


def without_time(live: re.Match[str]) -> str:
    """A row of a table without its last column; of a live line nothing."""
    return live[0].rpartition(" ")[0] if live.start() == 0 else ""


def words(lines: list[str]) -> Counter[str]:
    """How often each word stands there, bars and live figures aside."""
    plain = [BAR.sub("", LIVE.sub(without_time, line)) for line in unfolded(lines).splitlines()]
    return Counter(word for line in plain for word in line.split())


def shape(text: str) -> list[str]:
    """Lines without what differs between two runs: figures, bars, spaces."""
    return [" ".join(re.sub(r"\d[\d.,:]*", "0", BAR.sub("", line)).split()) for line in text.splitlines()]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_line_fits_and_nothing_is_cut(name: str, width: int) -> None:
    lines = kept(name, width)
    assert lines
    assert [line for line in lines if len(line) > width or "…" in line] == []


@pytest.mark.parametrize("width", WIDTHS[:-1])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_narrow_terminal_shows_every_word_and_cell_of_a_wide_one(name: str, width: int) -> None:
    narrow, wide = words(kept(name, width)), words(kept(name, WIDTHS[-1]))
    assert {word: count for word, count in wide.items() if narrow[word] < count} == {}
    assert narrow.keys() - wide.keys() == set()  # and no part of a word


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["search", "final", "trust"])
def test_commands_and_paths_stand_whole_in_a_line(name: str, width: int) -> None:
    run = "runs/published" if name == "search" else "runs/mine"
    lines = unfolded(kept(name, width)).splitlines()
    commands = [
        f"nas-train --run {run}",
        f"nas-export --run {run} --to torch",
        f"nas-scale {run}/best.yaml --phi 3 -o larger.yaml",
    ]
    if name == "trust":
        commands = [f"nas-trust {run} --trust-code --budget"]
    for whole in commands:
        assert any(whole in line for line in lines), whole


@pytest.mark.parametrize("width", WIDTHS)
def test_counts_agree(width: int) -> None:
    search = "\n".join(kept("search", width))
    assert "12/12" in search
    assert "12 trials, 12 evaluated, 0 failed" in search
    final = "\n".join(kept("final", width))
    stages = [tuple(map(int, found)) for found in re.findall(r"Final: (\d+) trainings of (\d+) networks", final)]
    assert len(stages) == 2  # what was found, then the known networks beside it
    for trainings, _ in stages:
        assert f"{trainings}/{trainings}" in final
    networks = sum(count for _, count in stages)
    assert f"Final: {networks} networks, trained" in " ".join(final.split())
    table = final[final.index("points with") :]
    assert len(re.findall(r"\d\.\d\d% \+- \d", table)) == networks
    grid = "\n".join(kept("grid", width))
    done, planned = map(int, re.findall(r"(\d+)/(\d+)", grid)[-1])
    rungs = re.search(r"rung 3 of 3, (\d+) of (\d+) trained", grid)
    assert rungs is not None
    assert done == planned
    assert rungs[1] == rungs[2]
    assert len(re.findall(r"\d\.\d\d% \+- \d", grid)) * 3 == int(rungs[1])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_training_ends_with_the_accuracy_of_its_table(width: int) -> None:
    text = "\n".join(kept("train", width))
    live = re.search(r"epoch 3/3 .*validation (\S+) \(best (\S+)\)", text)
    assert live is not None
    assert live[1] == live[2]
    assert re.search(rf"^mine +{live[1]}", text, re.MULTILINE)


@pytest.mark.slow
def test_the_captures_are_of_the_present_code(tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("no tmux is installed")
    for name, text in captures(WIDTHS[0], tmp_path):
        assert shape(text) == shape((HERE / f"{name}-{WIDTHS[0]}.txt").read_text(encoding="utf-8")), name
