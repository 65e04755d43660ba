from pathlib import Path

from nas.report import grid, study
from nas.report.scaling import part_of
from nas.runs.record import RunRecord
from tests.nas.grid.test_checks import GRID, OWN
from tests.nas.grid.test_comparison import COMPARED, settings


def test_the_module_that_tells_of_a_run() -> None:
    assert part_of(RunRecord(path=Path())) is None
    assert part_of(RunRecord(path=Path(), grid=(OWN, GRID))) is grid
    assert part_of(RunRecord(path=Path(), compared=(settings(), COMPARED))) is study
