import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.data.trained_on import TrainedOn, from_metadata
from search_space.errors import InputError

TRAINED = TrainedOn(
    pixel_mean=(125.3, 123.0, 113.9),
    pixel_std=(63.0, 62.1, 66.7),
    class_names=("cat", "dog\n\udc80"),
    input_size=32,
    batchnorm_momentum=0.1,
)


def test_what_is_written_is_read_back() -> None:
    metadata = TRAINED.to_metadata()
    assert list(metadata) == sorted(metadata)
    assert all(text.isascii() for text in metadata.values())
    assert from_metadata({**metadata, "format": "pt"}, 2, "file") == TRAINED
    assert from_metadata({"format": "pt"}, 2, "file") is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("pixel_mean", "[1, 2", "w.st: its metadata are damaged"),
        ("pixel_mean", "[" * 100_000, "w.st: its metadata are damaged"),
        ("pixel_mean", "[1, 2]", "metadata: pixel_mean: expected 3 values, got 2"),
        ("pixel_std", "[1, NaN, 1]", r"metadata: pixel_std\[1\]: expected a number, got nan"),
        ("pixel_std", "[1, 0, 1]", "pixel_std must be above 0"),
        ("class_names", '["cat"]', "metadata: 1 class_names for 2 outputs"),
        ("class_names", "[1, 2]", r"class_names\[0\]: expected text"),
        ("input_size", "0", "input_size must be at least 1"),
        ("batchnorm_momentum", "2", "batchnorm_momentum must be above 0 and at most 1"),
    ],
)
def test_wrong_metadata_are_one_line(name: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        from_metadata({**TRAINED.to_metadata(), name: text}, 2, "w.st")
    assert "\n" not in str(error.value)


def test_missing_metadata_are_named() -> None:
    metadata = TRAINED.to_metadata()
    del metadata["pixel_std"]
    with pytest.raises(InputError, match="missing key 'pixel_std'"):
        from_metadata(metadata, 2, "w.st")


@given(st.dictionaries(st.sampled_from(list(TRAINED.to_metadata())), st.text() | st.sampled_from(["0", "[]", "{}"])))
def test_any_text_is_read_or_refused(changes: dict[str, str]) -> None:
    try:
        found = from_metadata({**TRAINED.to_metadata(), **changes}, 2, "w.st")
    except InputError:
        return
    assert found is not None
    assert json.loads(found.to_metadata()["input_size"]) == found.input_size
