from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from search_space.errors import InputError
from search_space.io import schema


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise InputError(f"size must not be negative, got {self.size}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    rate: float = 0.5
    name: str | None = None
    flag: bool = False
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (0, "")
    table: Mapping[str, float] = field(default_factory=dict)
    either: int | str = 0
    anything: Any = None


def read(**data: object) -> Outer:
    return schema.from_mapping(Outer, {"inner": {"size": 1}, **data}, "f")


def test_values_are_converted_and_go_back() -> None:
    value = read(rate=2, name="x", flag=True, sizes=[1, 2], pair=[3, "c"], table={"k": 1}, either="e", anything=[1])
    assert value == Outer(
        inner=Inner(size=1),
        rate=2.0,
        name="x",
        flag=True,
        sizes=(1, 2),
        pair=(3, "c"),
        table={"k": 1.0},
        either="e",
        anything=[1],
    )
    assert isinstance(value.rate, float)
    assert schema.from_mapping(Outer, schema.to_plain(value), "f") == value
    assert schema.to_plain(value)["sizes"] == [1, 2]
    assert read(name=None).name is None
    assert read(inner=Inner(size=7)).inner.size == 7


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rat": 1}, r"^f: unknown key 'rat' \(did you mean 'rate'\?\)$"),
        ({"zzz": 1}, r"f: unknown key 'zzz' \(known: inner, rate"),
        ({3: 1}, "unknown key 3"),
        ({"rate": "1"}, "f: rate: expected a number, got '1'"),
        ({"rate": True}, "rate: expected a number, got True"),
        ({"rate": float("nan")}, "rate: expected a number, got nan"),
        ({"flag": 1}, "flag: expected true or false, got 1"),
        ({"name": 1}, "name: expected text, got 1"),
        ({"sizes": 3}, "sizes: expected a list, got 3"),
        ({"sizes": [1, 2.0]}, r"sizes\[1\]: expected a whole number, got 2.0"),
        ({"sizes": [False]}, r"sizes\[0\]: expected a whole number, got False"),
        ({"pair": [1]}, "pair: expected 2 values, got 1"),
        ({"table": [1]}, r"table: expected a mapping, got \[1\]"),
        ({"table": {"k": "v"}}, "table.k: expected a number, got 'v'"),
        ({"either": 1.5}, "either: expected text, got 1.5"),
        ({"inner": {"size": 1, "kind": "c"}}, "inner: kind: must be one of a, b, got 'c'"),
        ({"inner": {"size": -1}}, "inner: size must not be negative, got -1"),
        ({"inner": {}}, "inner: missing key 'size'"),
        ({"inner": "x" * 100}, r"inner: expected a mapping of size, kind, got 'x+\.\.\.$"),
        ({"rate": "a", "flag": "b"}, "rate: .*; flag: "),
    ],
)
def test_wrong_data_is_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(**data) if all(isinstance(key, str) for key in data) else schema.from_mapping(Outer, data, "f")


def test_not_a_mapping() -> None:
    with pytest.raises(InputError, match=r"f: expected a mapping of size, kind, got \[1\]"):
        schema.from_mapping(Inner, [1], "f")
