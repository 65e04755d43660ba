from pathlib import Path

from nas.report.references import compared, names, network_of, reference
from nas.runs.record import load
from search_space.architecture import Architecture
from tests.runs import make_run


def test_the_reference_is_b0_with_what_was_measured(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=4)
    run = load(tmp_path)
    assert names(run) == [compared(run)] == ["efficientnet-b0"]
    known = reference(run, "efficientnet-b0")
    assert known["accuracy"] == study.references["efficientnet-b0"].accuracy
    assert (known["status"], known["macs"]) == ("ok", 385_814_752)
    assert network_of(run, "efficientnet-b0") == Architecture.load("efficientnet-b0")


def test_at_another_size_it_is_called_by_its_width(tmp_path: Path) -> None:
    make_run(tmp_path, trials=2, target_flops="100M", resolution=224, classes=10, band=None)
    assert reference(load(tmp_path), "efficientnet-b0")["name"].startswith("efficientnet-b0 at width 0.")
