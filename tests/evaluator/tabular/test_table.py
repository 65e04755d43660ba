from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import r2_score

from evaluator.tabular import accel_nasbench
from evaluator.tabular.boosted_trees import fit
from evaluator.tabular.table import Imagenet, ImagenetConfig, Table, TableConfig, distinct, features
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.space import SearchSpace

B0 = Architecture.load("efficientnet-b0")


def test_accuracies_come_from_trees_fitted_to_the_trainings(few_trees: None) -> None:
    evaluator = Imagenet(ImagenetConfig())
    published = accel_nasbench.read()[:50]
    found = [evaluator.evaluate(item.architecture, 0).accuracy for item in published]
    assert np.corrcoef(found, [item.accuracy for item in published])[0, 1] > 0.85  # type: ignore[arg-type]
    assert evaluator.evaluate(B0, 1) == evaluator.evaluate(B0, 0)
    assert evaluator.describe() == {"networks": 5125}


def test_networks_that_were_trained_twice_count_once() -> None:
    published = [accel_nasbench.read()[i] for i in (3, 0, 3)]
    published[0] = dataclasses.replace(published[0], accuracy=0.5)
    published[2] = dataclasses.replace(published[2], accuracy=0.6)
    rows, accuracy = distinct(published)
    assert rows.shape == (2, 28)
    assert dict(zip(map(tuple, rows), accuracy, strict=True)) == {
        tuple(features(published[0].architecture)): 0.55,
        tuple(features(published[1].architecture)): published[1].accuracy,
    }


@pytest.mark.parametrize(
    "other",
    [Architecture.load("mnasnet-a1"), dataclasses.replace(B0, stem=40), dataclasses.replace(B0, stages=B0.stages[:3])],
)
def test_a_network_the_benchmark_could_not_hold_is_infeasible(few_trees: None, other: Architecture) -> None:
    evaluation = Imagenet(ImagenetConfig()).evaluate(other, 0)
    assert evaluation.status == "infeasible"
    assert "not a network of the accel-nasbench space" in evaluation.reason


def test_noise_is_that_of_the_seed(few_trees: None) -> None:
    evaluator = Imagenet(Imagenet.with_noise(ImagenetConfig(), 0.01))
    exact = Imagenet(ImagenetConfig()).evaluate(B0, 0).accuracy
    values = [evaluator.evaluate(B0, seed).accuracy for seed in range(400)]
    assert exact is not None
    assert np.mean(values) == pytest.approx(exact, abs=0.002)
    assert np.std(values) == pytest.approx(0.01, rel=0.15)
    assert evaluator.evaluate(B0, 3).accuracy == values[3]


def test_a_table_needs_a_path() -> None:
    with pytest.raises(InputError, match="name the file: "):
        Table(TableConfig())


@pytest.mark.parametrize("cls", [ImagenetConfig, TableConfig])
def test_noise_is_checked(cls: Any) -> None:
    with pytest.raises(InputError, match="noise must be from 0 to 1, got -1"):
        cls(noise=-1)


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
def test_networks_held_out_of_a_fit_are_predicted_as_well_as_the_authors_say() -> None:
    rows, accuracy = distinct(accel_nasbench.read())
    held, kept = np.split(np.random.default_rng(0).permutation(len(rows)), [len(rows) // 5])
    trees = fit(rows[kept], accuracy[kept])
    predicted = [trees.predict(row) for row in rows[held]]
    assert r2_score(accuracy[held], predicted) > 0.982
    assert kendalltau(accuracy[held], predicted).statistic > 0.915
