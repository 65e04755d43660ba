import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.errors import InputError
from search_space.io import strict_yaml

letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"])
text = st.text(letters, max_size=20) | st.text("0123456789eE.+-_:xa~", max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4))


@given(plain)
def test_what_is_dumped_is_read_back(value: object) -> None:
    again = strict_yaml.load(strict_yaml.dump(value), "f")
    assert again == value
    assert repr(again) == repr(value)  # 1 is not True and not 1.0


@given(st.text(max_size=200))
def test_any_text_is_data_or_one_line(document: str) -> None:
    problem = ""
    try:
        strict_yaml.load(document, "f")
    except InputError as error:
        problem = str(error)
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("1e-3", 0.001),
        ("3.9e8", 3.9e8),
        ("-7", -7),
        (".5", 0.5),
        ("012", "012"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        (".inf", ".inf"),
        ("'3'", "3"),
    ],
)
def test_scalars_mean_what_they_look_like(written: str, value: object) -> None:
    read = strict_yaml.load(f"a: {written}", "f")["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("a: 1\na: 2", "f, line 2: duplicate key 'a'"),
        ("b: {a: 1, a: 2}", "f, line 1: duplicate key 'a'"),
        ("{1: a, 1.0: b}", "duplicate key 1.0"),
        ("a: &x 1\nb: *x", r"f, line 2: aliases \(\*name\) are not allowed"),
        ("!!python/object/apply:os.system ['true']", r"f, line 1: tags \(.*os.system\) are not allowed"),
        ("a: !!set {b}", "tags .*set.* are not allowed"),
        ("!!map [1]", "tags"),
        ("a: !!bool maybe", "tags"),
        ("a: !mine 3", "tags .!mine. are not allowed"),
        ("[" * 1000, "f: nested deeper than 40 levels"),
        ("{a: " * 1000, "nested deeper"),
        ("- " * 1000, "nested deeper"),
        ("[" * 10_000_000, "f: 10,000,000 characters, at most 500,000 are allowed"),
        ("a: 1\n---\nb: 2", "f, line 2"),
        ("{[1]: 2}", "f, line 1: a key must be plain text"),
        ("{null: 2}", "a key must be plain text"),
        ("a: [1", "f, line 1"),
        ("a: 1: 2", "f, line 1: mapping values are not allowed here"),
        ("a: " + "1" * 5000, "f: not YAML: Exceeds the limit"),
        ("\x00", "f: special characters are not allowed"),
    ],
)
def test_bad_documents_are_refused_in_one_line(document: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        strict_yaml.load(document, "f")
    assert "\n" not in str(caught.value)


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = strict_yaml.MAX_DEPTH
    value = strict_yaml.load("[" * depth + "]" * depth, "f")
    for _ in range(depth - 1):
        (value,) = value
    assert value == []


def test_text_that_looks_like_a_number_stays_text() -> None:
    # A network's key is hexadecimal and may look like this.
    assert strict_yaml.load(strict_yaml.dump({"key": "123456789012e345"}), "f") == {"key": "123456789012e345"}


def test_innermost_collections_are_on_one_line() -> None:
    assert strict_yaml.dump({"b": [{"x": 1, "y": 2.0}], "a": "no"}) == "b:\n- {x: 1, y: 2.0}\na: 'no'\n"
    assert math.isfinite(strict_yaml.load(strict_yaml.dump({"a": 1e-7}), "f")["a"])
