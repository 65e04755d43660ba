"""Evaluators that look accuracies up instead of training: a published benchmark, or anyone's own table.

They answer in microseconds, so that search strategies can be compared over many seeds.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evaluator.base import CACHE_DIR, Evaluation, Evaluator
from evaluator.tabular import accel_nasbench
from evaluator.tabular.accel_nasbench import Published
from evaluator.tabular.boosted_trees import fit_cached
from search_space.architecture import Architecture
from search_space.decision import Space, canonical
from search_space.errors import InputError, shown
from search_space.io.files import read_text
from search_space.seeding import derive_seed
from search_space.space import find_space

CAVEAT = (
    "At 224 pixels and 1000 classes. What this answer is worth: its accuracies are predicted from 5,138 published "
    "ImageNet trainings, which were short (43 to 67 % top-1), and are optimistic at the top, where a search looks. "
    "Found by half of the trainings and judged by the other half, a margin of +2.8 % over EfficientNet-B0's reward is "
    "+1.7 % (+0.4 to +2.7 %)"
)


@dataclass(frozen=True, kw_only=True)
class ImagenetConfig:
    """How exact the answers are."""

    noise: float = 0.0
    """Standard deviation of accuracy between trainings, in [0, 1]; in the data it is 0.001 to 0.0027."""

    def __post_init__(self) -> None:
        _check_noise(self.noise)


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """Where the table is, and how exact its answers are."""

    path: str = ""
    """CSV with a column ``accuracy`` and a column ``key`` or ``tokens`` (``0 2 1 ...``), or a JSON object from key, or
    from tokens, to accuracy: ``table:FILE``."""
    space: str = ""
    """Space that the tokens are of, a name, a YAML file or ``package.module:OBJECT``; not needed for keys. `nas-bench`
    takes the space that it searches."""
    noise: float = 0.0
    """Standard deviation of accuracy between trainings, in [0, 1]."""

    def __post_init__(self) -> None:
        _check_noise(self.noise)


def _check_noise(noise: float) -> None:
    if not 0 <= noise <= 1:
        raise InputError(f"noise must be from 0 to 1, got {noise}")


class Imagenet(Evaluator[ImagenetConfig]):
    """Accuracies of ImageNet trainings at 224 pixels, from trees fitted to the 5,138 of `accel_nasbench`."""

    Config: ClassVar[type] = ImagenetConfig
    presets: ClassVar[dict[str, ImagenetConfig]] = {"default": ImagenetConfig()}
    is_lookup: ClassVar[bool] = True
    trains: ClassVar[bool] = False
    search_defaults: ClassVar[dict[str, Any]] = {"space": "accel-nasbench", "trials": 200}
    fixed_networks: ClassVar[bool] = True

    def __init__(self, config: ImagenetConfig) -> None:
        super().__init__(config)
        published = accel_nasbench.read()
        self._base = published[0].architecture
        self._rows, accuracy = distinct(published)
        self._known = [set(column) for column in self._rows.T.tolist()]
        self._trees = fit_cached(self._rows, accuracy, CACHE_DIR.expanduser())

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """See `Evaluator.evaluate`; a network the benchmark could not hold is ``infeasible``."""
        row = self._row(architecture)
        if row is None:
            return Evaluation(status="infeasible", reason="not a network of the accel-nasbench space")
        return _measured(self._trees.predict(row), self.config.noise, seed)

    def _row(self, architecture: Architecture) -> NDArray[np.float64] | None:
        """What the trees look at; None for a network that differs from the benchmark's in anything else."""
        if len(architecture.stages) != len(self._base.stages):
            return None
        row = features(architecture)
        stages = tuple(
            dataclasses.replace(base, expand=stage.expand, kernel=stage.kernel, layers=stage.layers, se=stage.se)
            for base, stage in zip(self._base.stages, architecture.stages, strict=True)
        )
        same = dataclasses.replace(self._base, stages=stages) == architecture
        known = all(value in column for value, column in zip(row, self._known, strict=True))
        return np.array(row) if same and known else None

    @classmethod
    def with_noise(cls, config: ImagenetConfig, deviation: float) -> ImagenetConfig:
        """See `Evaluator.with_noise`."""
        return dataclasses.replace(config, noise=deviation)

    @classmethod
    def caveat(cls, config: ImagenetConfig) -> str:
        """See `Evaluator.caveat`."""
        return CAVEAT

    def describe(self) -> dict[str, Any]:
        """See `Evaluator.describe`: distinct networks that were trained."""
        return {"networks": len(self._rows)}


class Table(Evaluator[TableConfig]):
    """Accuracies from a file, by architecture key."""

    Config: ClassVar[type] = TableConfig
    presets: ClassVar[dict[str, TableConfig]] = {"default": TableConfig()}
    argument = "path"
    is_lookup: ClassVar[bool] = True
    trains: ClassVar[bool] = False
    fixed_networks: ClassVar[bool] = True

    def __init__(self, config: TableConfig) -> None:
        super().__init__(config)
        if not config.path:
            raise InputError("evaluator table: name the file: table:FILE")
        self._accuracy = _read_table(config)

    def evaluate(self, architecture: Architecture, seed: int, fidelity: int = 1) -> Evaluation:
        """See `Evaluator.evaluate`; a network that the table lacks is ``infeasible``."""
        accuracy = self._accuracy.get(architecture.key)
        if accuracy is None:
            return Evaluation(status="infeasible", reason=f"{self.config.path} has no network {architecture.key}")
        return _measured(accuracy, self.config.noise, seed)

    @classmethod
    def with_noise(cls, config: TableConfig, deviation: float) -> TableConfig:
        """See `Evaluator.with_noise`."""
        return dataclasses.replace(config, noise=deviation)

    def describe(self) -> dict[str, Any]:
        """See `Evaluator.describe`."""
        return {"networks": len(self._accuracy)}


def distinct(published: Sequence[Published]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the trees are fitted to.

    Returns:
        (N, D) features of the distinct networks, and (N,) their accuracies: the mean of those trained twice.
    """
    rows = np.array([features(item.architecture) for item in published])
    _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(group.ravel(), weights=[item.accuracy for item in published])
    return rows[first], sums / np.bincount(group.ravel())


def features(architecture: Architecture) -> list[float]:
    """(D,) the choices of every stage."""
    stages = architecture.stages
    return [float(v) for stage in stages for v in (stage.expand, stage.kernel, stage.layers, stage.se)]


def _measured(accuracy: float, noise: float, seed: int) -> Evaluation:
    """The accuracy of one training: `seed` decides its noise."""
    if noise:
        accuracy += noise * float(np.random.default_rng(derive_seed(seed, "noise")).standard_normal())
    accuracy = min(1.0, max(0.0, accuracy))
    return Evaluation(status="ok", accuracy=accuracy, curve=(accuracy,))


def _read_table(config: TableConfig) -> dict[str, float]:
    """Key to accuracy.

    Raises:
        InputError: Unreadable, or a row that is not a network and an accuracy in [0, 1], by its number or name.
    """
    path = Path(config.path)
    space = find_space(config.space) if config.space else None
    table: dict[str, float] = {}
    for where, name, value in _rows(path):
        try:
            accuracy = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            accuracy = math.nan
        if not 0 <= accuracy <= 1:
            raise InputError(f"{path}, {where}: accuracy must be a number from 0 to 1, got {shown(value)}")
        table[_key(name, space, f"{path}, {where}")] = accuracy
    if not table:
        raise InputError(f"{path}: no rows")
    return table


def _rows(path: Path) -> list[tuple[str, str, Any]]:
    """(where, key or tokens, accuracy) of each row."""
    text = read_text(path)
    if path.suffix == ".json":
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not JSON: {error}") from None
        if not isinstance(data, dict):
            raise InputError(f"{path}: expected a JSON object from key to accuracy")
        return [(shown(name), name, value) for name, value in data.items()]
    reader = csv.DictReader(text.splitlines())
    try:
        column = next((name for name in ("key", "tokens") if name in (reader.fieldnames or ())), None)
        if column is None or "accuracy" not in (reader.fieldnames or ()):
            raise InputError(f"{path}: its first line must name the columns accuracy and key, or accuracy and tokens")
        return [(f"line {reader.line_num}", row[column] or "", row["accuracy"]) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num + 1}: not CSV: {error}") from None


def _key(name: str, space: Space | None, where: str) -> str:
    """An architecture key as it is, tokens as the key of what they build."""
    name = name.strip()
    if len(name) == 16 and all(digit in "0123456789abcdef" for digit in name):
        return name
    if space is None:
        raise InputError(f"{where}: {shown(name)} is not an architecture key (16 hex digits); for tokens, set space")
    try:
        return space.decode(canonical(space.decisions, [int(token) for token in name.split()])).key
    except ValueError as error:
        raise InputError(f"{where}: not tokens of the space {space.name}: {error}") from None
