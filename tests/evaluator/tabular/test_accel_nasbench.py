import gzip
from pathlib import Path

import pytest

from benchmarks.imagenet_table import table
from evaluator.tabular import accel_nasbench
from evaluator.tabular.accel_nasbench import LATENCIES, TABLE, THROUGHPUTS, read
from search_space.architecture import Architecture

ARCHIVE = Path(__file__).parents[4] / "shared" / "data" / "accel-nasbench" / "anb_dataset_jsons.tar.gz"


def test_what_was_published_is_read() -> None:
    published = read()
    assert len(published) == 5138
    assert len({item.architecture.key for item in published}) == 5125
    first = published[0]
    assert [stage.expand for stage in first.architecture.stages] == [6, 4, 6, 6, 6, 1, 1]
    assert [stage.kernel for stage in first.architecture.stages] == [3, 5, 3, 5, 5, 3, 3]
    assert [stage.layers for stage in first.architecture.stages] == [1, 2, 3, 3, 2, 2, 2]
    assert (first.accuracy, first.macs, first.params) == (0.59368, 415_361_072, 2_501_160)
    assert first.speed["a100_images_s"] == 7034.9
    accuracies = [item.accuracy for item in published]
    assert (min(accuracies), max(accuracies)) == pytest.approx((0.4285, 0.6705), abs=1e-4)
    assert {p.architecture.resolution for p in published} == {224}
    assert {p.architecture.classes for p in published} == {1000}
    assert Architecture.load("efficientnet-b0").key not in {p.architecture.key for p in published}


def test_a_device_that_was_not_measured_is_left_out() -> None:
    published = read()
    known = {name: sum(name in item.speed for item in published) for name in (*THROUGHPUTS, *LATENCIES)}
    assert known == {
        "a100_images_s": 5138,
        "rtx3090_images_s": 5135,
        "tpuv2_images_s": 5101,
        "tpuv3_images_s": 5094,
        "zcu102_images_s": 5136,
        "vck190_images_s": 5136,
        "zcu102_ms": 5136,
        "vck190_ms": 5136,
    }


def test_the_table_is_small_and_says_whose_work_it_is() -> None:
    assert TABLE.stat().st_size < 400_000
    notice = TABLE.with_name("accel_nasbench.NOTICE").read_text()
    assert "github.com/afzalxo/Accel-NASBench" in notice
    assert "Apache License, Version 2.0" in notice


@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"no published archive: {ARCHIVE} is absent")
def test_the_table_is_what_the_archive_holds() -> None:
    assert table(ARCHIVE) == gzip.decompress(accel_nasbench.TABLE.read_bytes()).decode()
