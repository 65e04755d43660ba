import pytest

from search_space.errors import InputError, NasError, check_fields


def test_input_errors_are_caught_as_either() -> None:
    assert issubclass(InputError, NasError)
    assert issubclass(InputError, ValueError)


def test_all_rules_that_do_not_hold_are_named_together() -> None:
    check_fields((True, "epochs", 1, "at least 1"))
    with pytest.raises(InputError, match=r"^epochs must be at least 1, got 0; op must be conv, got 'pool'$"):
        check_fields(
            (False, "epochs", 0, "at least 1"), (True, "batch", 2, "at least 2"), (False, "op", "pool", "conv")
        )
