from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from evaluator.tabular import boosted_trees
from evaluator.tabular.boosted_trees import fit, fit_cached


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(boosted_trees.SETTINGS, "n_estimators", 30)


def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 4, (300, 5)).astype(float)
    return rows, rows[:, 0] - 0.5 * rows[:, 1] * (rows[:, 2] > 1) + 0.01 * generator.standard_normal(300)


def test_the_arrays_predict_what_scikit_learn_predicts() -> None:
    rows, target = data()
    model = fit(rows, target)
    reference = GradientBoostingRegressor(**boosted_trees.SETTINGS).fit(rows, target).predict(rows)
    assert [model.predict(row) for row in rows] == pytest.approx(reference, abs=1e-9)


def test_the_cache_gives_the_same_model_without_fitting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, target = data()
    first = fit_cached(rows, target, tmp_path / "cache")
    monkeypatch.setattr(boosted_trees, "fit", lambda *_: pytest.fail("fitted again"))
    again = fit_cached(rows, target, tmp_path / "cache")
    assert again.predict(rows[7]) == first.predict(rows[7])
    with pytest.raises(pytest.fail.Exception, match="fitted again"):
        fit_cached(rows, target + 1, tmp_path / "cache")


def test_a_folder_that_cannot_be_written_costs_a_fit_and_a_damaged_file_is_fitted_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    rows, target = data()
    first = fit_cached(rows, target, tmp_path / "file" / "below")
    assert fit_cached(rows, target, tmp_path / "cache").predict(rows[0]) == first.predict(rows[0])
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:1000])
    assert fit_cached(rows, target, tmp_path / "cache").predict(rows[0]) == first.predict(rows[0])
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(
    "wrong", [{"feature": 99}, {"left": -1}, {"right": 10**6}, {"value": math.nan}, {"threshold": [1.0]}, {"base": "x"}]
)
def test_a_kept_model_that_cannot_predict_is_fitted_again(wrong: dict[str, Any], tmp_path: Path) -> None:
    rows, target = data()
    first = fit_cached(rows, target, tmp_path)
    (kept,) = tmp_path.iterdir()
    arrays = dict(np.load(kept))
    for name, value in wrong.items():
        arrays[name] = np.asarray(value) if name in ("threshold", "base") else np.full_like(arrays[name], value)
    np.savez(kept, **arrays)
    assert fit_cached(rows, target, tmp_path).predict(rows[0]) == first.predict(rows[0])
