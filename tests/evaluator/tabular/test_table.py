from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.tabular import boosted_trees
from evaluator.tabular import table as tabular
from evaluator.tabular.table import AccelNasbench, AccelNasbenchConfig, Table, TableConfig
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.space import SearchSpace

B0 = Architecture.load("efficientnet-b0")


def row(architecture: Architecture, top1: float) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for i, stage in enumerate(architecture.stages):
        chosen |= {f"block{i}_e": stage.expand, f"block{i}_k": stage.kernel, f"block{i}_l": stage.layers}
        chosen[f"block{i}_se"] = stage.se > 0
    return {
        "architecture": chosen,
        "metrics": {"val_top1": top1},
        "model_info": {"macs": 400.0, "params": 5.0},
    }


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty random networks whose accuracy is their depth, and B0 twice."""
    monkeypatch.setitem(boosted_trees.SETTINGS, "n_estimators", 300)
    monkeypatch.setattr(tabular, "CACHE_DIR", tmp_path / "cache")
    space, generator = SearchSpace.load("accel-nasbench"), np.random.default_rng(0)
    networks = [space.sample(generator) for _ in range(40)]
    rows = [row(a, 40 + sum(stage.layers for stage in a.stages)) for a in networks] + [row(B0, 50), row(B0, 52)]
    path = tmp_path / "anb_dataset_jsons.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for i, content in enumerate(rows):
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(f"anb_dataset_jsons/result_{i}.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_accuracies_come_from_trees_fitted_to_the_data(archive: Path) -> None:
    evaluator = AccelNasbench(AccelNasbenchConfig(path=str(archive)))
    assert evaluator.evaluate(B0, 0).accuracy == pytest.approx(0.51, abs=0.01)
    assert evaluator.evaluate(B0, 1) == evaluator.evaluate(B0, 0)
    described = evaluator.describe()
    assert described["networks"] == 41
    assert set(described) == {"networks", "held_out_r2", "held_out_kendall_tau"}
    assert list(archive.parent.glob("nas-b0-trees-*.npz"))


@pytest.mark.parametrize(
    "other",
    [Architecture.load("mnasnet-a1"), dataclasses.replace(B0, stem=40), dataclasses.replace(B0, stages=B0.stages[:3])],
)
def test_a_network_the_benchmark_could_not_hold_is_infeasible(archive: Path, other: Architecture) -> None:
    evaluation = AccelNasbench(AccelNasbenchConfig(path=str(archive))).evaluate(other, 0)
    assert evaluation.status == "infeasible"
    assert "not a network of the accel-nasbench space" in evaluation.reason


def test_noise_is_that_of_the_seed(archive: Path) -> None:
    evaluator = AccelNasbench(AccelNasbench.with_noise(AccelNasbenchConfig(path=str(archive)), 0.01))
    exact = AccelNasbench(AccelNasbenchConfig(path=str(archive))).evaluate(B0, 0).accuracy
    values = [evaluator.evaluate(B0, seed).accuracy for seed in range(400)]
    assert exact is not None
    assert np.mean(values) == pytest.approx(exact, abs=0.002)
    assert np.std(values) == pytest.approx(0.01, rel=0.15)
    assert evaluator.evaluate(B0, 3).accuracy == values[3]


@pytest.mark.parametrize("cls", [AccelNasbench, Table])
def test_a_path_is_needed(cls: Any) -> None:
    with pytest.raises(InputError, match=r"name the (data|file): "):
        cls(cls.Config())
    with pytest.raises(InputError, match="noise must be from 0 to 1, got -1"):
        cls.Config(noise=-1)


def table(tmp_path: Path, text: str, name: str = "t.csv", space: str = "") -> Table:
    (tmp_path / name).write_text(text)
    return Table(TableConfig(path=str(tmp_path / name), space=space))


def test_tables_of_keys_and_of_tokens(tmp_path: Path) -> None:
    space = SearchSpace.load("accel-nasbench")
    tokens = " ".join(map(str, space.encode(B0)))
    for made in (
        table(tmp_path, f"key,accuracy\n{B0.key},0.77\n"),
        table(tmp_path, f"accuracy,tokens\n0.77,{tokens}\n", space="accel-nasbench"),
        table(tmp_path, json.dumps({B0.key: 0.77}), "t.json"),
        table(tmp_path, json.dumps({tokens: 0.77}), "t.json", space="accel-nasbench"),
    ):
        assert made.evaluate(B0, 0).accuracy == 0.77
        assert made.describe() == {"networks": 1}
        missing = made.evaluate(Architecture.load("mnasnet-a1"), 0)
        assert missing.status == "infeasible"
        assert "has no network" in missing.reason


@pytest.mark.parametrize(
    ("text", "name", "space", "message"),
    [
        ("key,accuracy\n", "t.csv", "", "no rows"),
        ("a,b\n1,2\n", "t.csv", "", "must name the columns accuracy and key"),
        (f"key,accuracy\n{B0.key},77\n", "t.csv", "", "line 2: accuracy must be a number from 0 to 1, got '77'"),
        (f"key,accuracy\n{B0.key},nan\n", "t.csv", "", "line 2: accuracy must be a number from 0 to 1, got 'nan'"),
        (f"key,accuracy\n{B0.key},1e400\n", "t.csv", "", "must be a number from 0 to 1, got '1e400'"),
        (f"key,accuracy\n{B0.key},0.7\n{'x' * 140_000},1\n", "t.csv", "", "line 3: not CSV: field larger than"),
        (json.dumps({B0.key: 10**400}), "t.json", "", "must be a number from 0 to 1, got 1000"),
        (json.dumps({B0.key: float("nan")}), "t.json", "", "must be a number from 0 to 1, got nan"),
        (json.dumps({B0.key: True}), "t.json", "", "must be a number from 0 to 1, got True"),
        ("[" * 100_000, "t.json", "", "not JSON"),
        ("key,accuracy\nb0,0.7\n", "t.csv", "", "'b0' is not an architecture key"),
        (
            "tokens,accuracy\n1 2,0.7\n",
            "t.csv",
            "accel-nasbench",
            "not tokens of the space accel-nasbench: expected 28",
        ),
        ("{", "t.json", "", "not JSON"),
        ("[1]", "t.json", "", "expected a JSON object"),
    ],
)
def test_bad_tables_are_one_clear_line(tmp_path: Path, text: str, name: str, space: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(tmp_path, text, name, space)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        Table(TableConfig(path=str(tmp_path / "none.csv")))


@pytest.mark.slow
def test_the_published_data_is_predicted_as_well_as_its_authors_say(accel_nasbench: Path) -> None:
    described = AccelNasbench(AccelNasbenchConfig(path=str(accel_nasbench))).describe()
    assert described["networks"] == 5125
    assert described["held_out_r2"] > 0.982
    assert described["held_out_kendall_tau"] > 0.915
