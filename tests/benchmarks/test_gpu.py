"""What runs on a GPU later has to run here first: every part, in sizes of no meaning."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu
from benchmarks.on_gpu import cifar, packing, parts, search, tables
from benchmarks.on_gpu.loops import SMOKE, Row

ROWS: list[Row] = [
    {"part": "limits", "device": "Some GPU", "memory_gib": 80},
    {"part": "limits", "bf16_matmul_tflops": 800.0, "rows": 8192},
    {"part": "limits", "copy_tb_per_second": 3.0},
    {
        "part": "steps",
        "pixels": 224,
        "captured_images_per_second": 1000,
        "gflop_per_image": 2.4,
        "megabytes_per_image": 300.0,
    },
    {"part": "steps", "failed": "CUDA error: a | in it"},
]


def printed(code: str, limit: float = 30.0) -> list[Row]:
    return list(gpu.run([sys.executable, "-c", code], limit))


def test_rows_are_taken_as_they_come_and_a_failure_is_one_line() -> None:
    assert printed("print('{\"a\": 1}'); print('a library says something'); print('{\"b\": 2}')") == [
        {"a": 1},
        {"b": 2},
    ]
    assert printed("print('{\"a\": 1}'); raise RuntimeError('no kernel')") == [
        {"a": 1},
        {"failed": "RuntimeError: no kernel"},
    ]
    assert printed("raise SystemExit(3)") == [{"failed": "exit status 3"}]


def test_what_hangs_is_ended() -> None:
    code = "print('{\"a\": 1}', flush=True); import time; time.sleep(60)"
    assert printed(code, limit=5.0) == [{"a": 1}, {"failed": "not done after 5 s"}]


def test_each_row_is_written_and_no_failure_takes_the_others_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def run(command: list[str], limit: float) -> list[Row]:
        assert command[-3:] == ["--part", "steps", "--smoke"] or command[-2] == "limits"
        seen.append(len(json.loads((tmp_path / "gpu.json").read_text())) if (tmp_path / "gpu.json").exists() else 0)
        return [{"failed": "no"}] if "limits" in command else [{"pixels": 32}, {"pixels": 64}]

    monkeypatch.setattr(gpu, "run", run)
    assert gpu.measure(tmp_path, ["limits", "steps"], 100.0, smoke=True) == 1
    assert seen == [0, 1]
    assert [row["part"] for row in json.loads((tmp_path / "gpu.json").read_text())] == ["limits", "steps", "steps"]
    assert "| pixels |" in (tmp_path / "gpu.md").read_text()
    assert gpu.measure(tmp_path, ["limits"], 1.0, smoke=True) == 1
    assert json.loads((tmp_path / "gpu.json").read_text()) == [{"part": "limits", "failed": "no time was left"}]


def test_the_page_has_a_table_for_each_part() -> None:
    page = tables.markdown(ROWS, "a command").splitlines()
    assert page[0] == "# On a GPU: Some GPU"
    assert "| device | memory gib |" in page
    assert "| 224 | 1,000 | 2.4 | 300.0 |" in page
    assert "| CUDA error: a / in it |" in page


def test_distance_is_work_over_what_the_device_can_do() -> None:
    (row,) = tables.distance(ROWS)
    assert (row["tflops"], row["of_matmul"]) == (2.4, "0.3%")
    assert (row["tb_per_second"], row["of_copy"]) == (0.3, "10.0%")
    assert tables.distance(ROWS[3:]) == []


def test_a_search_is_extrapolated_from_the_step_of_its_size_alone() -> None:
    (row,) = tables.extrapolated(ROWS)
    # Five epochs of 1,231,201 images, and 49,966 scored at a third of the cost, at 1,000 images a second.
    assert row["gpu_hours_a_network"] == pytest.approx(5 * (1_231_201 + 49_966 / 3) / 1000 / 3600, abs=0.01)
    assert row["gpu_hours_of_200"] == round(200 * 5 * (1_231_201 + 49_966 / 3) / 1000 / 3600)
    assert (row["preset"], row["pixels"]) == ("imagenet", 224)
    assert tables.extrapolated(ROWS[:3]) == []
    assert "Extrapolated, not measured: a full search" in tables.markdown([row], "")


def test_time_in_which_the_device_works_counts_once() -> None:
    assert parts.covered([(0.0, 2.0, "a"), (1.0, 3.0, "b"), (5.0, 6.0, "c"), (5.2, 5.4, "d")]) == 4.0


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("void cudnn::bn_fw_tr_1C11_kernel_NCHW<float>", "batch norm"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32", "matrix products and convolutions"),
        ("void at::native::vectorized_elementwise_kernel<4, silu>", "elementwise"),
        ("multi_tensor_apply_kernel<FusedAdamMathFunctor>", "optimizer"),
        ("void conv_depthwise2d_forward_kernel<5>", "depthwise convolution"),
        ("Memcpy DtoD (Device -> Device)", "copies"),
        ("mystery", "other"),
    ],
)
def test_kernels_are_told_apart_by_name(kernel: str, kind: str) -> None:
    assert parts.family(kernel) == kind


def test_b0_does_at_least_its_multiply_adds_and_its_traffic() -> None:
    found = parts.floors(224, 128)
    assert found["gflop_per_image"] == pytest.approx(6 * 0.3846, abs=0.01)  # 100 classes
    assert 100 < found["megabytes_per_image"] < 1000


def test_a_packed_file_has_the_first_images_of_each_batch(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in cifar.NAMES:
        records = generator.integers(0, 256, (250, cifar.RECORD), dtype=np.uint8)
        records[:, 0] = np.arange(250) % 10
        records.tofile(tmp_path / f"{name}.bin")
    cifar.pack(tmp_path, tmp_path / "cifar.zip", 1000)
    cifar.unpack(tmp_path / "cifar.zip", tmp_path / "some")
    for name, images in zip(cifar.NAMES, [200] * 5 + [100], strict=True):
        wanted = (tmp_path / f"{name}.bin").read_bytes()[: images * cifar.RECORD]
        assert (tmp_path / "some" / f"{name}.bin").read_bytes() == wanted


@pytest.fixture
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["limits", "steps", "profile", "deterministic", "latency", "streams", "mps"])
def test_every_part_runs(name: str, one_thread: None) -> None:
    rows = list(gpu.PARTS[name][0](SMOKE))
    assert rows
    assert not any("failed" in row for row in rows)
    assert json.loads(json.dumps(rows)) == rows
    if name == "steps":
        assert {f"{loop}_images_per_second" for loop in ("plain", "ours", "captured")} <= rows[0].keys()


@pytest.mark.slow
def test_candidates_train_at_once_in_processes() -> None:
    rows = list(packing.packing(SMOKE))
    assert [(row["step"], row["candidates"]) for row in rows] == [("captured", 2), ("ours", 2)]
    assert all(row["images_per_second"] > 0 for row in rows)


@pytest.mark.slow
def test_journals_of_one_seed_are_compared() -> None:
    rows = list(parts.journal(SMOKE))
    assert [row["trials"] for row in rows[:2]] == [1, 1]
    assert rows[2]["same_trials"] is True


@pytest.mark.slow
def test_a_search_on_packed_images_leaves_its_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in cifar.NAMES:
        records = generator.integers(0, 256, (100, cifar.RECORD), dtype=np.uint8)
        records[:, 0] = np.arange(100) % 10
        records.tofile(tmp_path / f"{name}.bin")
    cifar.pack(tmp_path, tmp_path / "cifar.zip", 100)
    assert search.search(tmp_path / "cifar.zip", tmp_path / "out", 5.0, "3M", smoke=True) == 0
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"search.txt", "best.yaml", "journal.jsonl", "report.html", "trials.csv"} <= kept
