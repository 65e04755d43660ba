"""Which part of the report tells of a run over scaled networks: a grid's or a study's."""

from __future__ import annotations

from typing import Any, Protocol

from nas.report import grid, study
from nas.runs.record import RunRecord


class Part(Protocol):
    """What the modules `nas.report.grid` and `nas.report.study` have in common."""

    FRAME: dict[str, str]
    """``title`` and ``note`` of the chart's section."""

    def points(self, run: RunRecord, /) -> list[dict[str, Any]]:
        """The chart's points, those of a group together."""
        ...

    def labels(self, run: RunRecord, /) -> list[dict[str, Any]]:
        """What each trial stands for."""
        ...

    def title(self, run: RunRecord, /) -> str:
        """The answer in one line."""
        ...

    def lead(self, run: RunRecord, /) -> str:
        """What was compared, in a sentence."""
        ...

    def verdict_lines(self, run: RunRecord, /) -> list[str]:
        """How sure the answer is."""
        ...

    def commands(self, run: RunRecord, /) -> list[tuple[str, str]]:
        """What next."""
        ...

    def finalists(self, run: RunRecord, /) -> dict[str, Any]:
        """The answer's table: ``columns`` and ``rows`` of text."""
        ...

    def family_table(self, run: RunRecord, /) -> dict[str, Any]:
        """The family that comes of it, likewise."""
        ...

    def asked(self, run: RunRecord, /) -> list[tuple[str, str]]:
        """What was asked."""
        ...


def part_of(run: RunRecord) -> Part | None:
    """The module that tells of a run; None where it is no run over scaled networks."""
    if run.compared:
        return study
    return grid if run.grid else None
