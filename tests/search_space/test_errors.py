from search_space.errors import InputError, NasError


def test_input_errors_are_caught_as_either() -> None:
    assert issubclass(InputError, NasError)
    assert issubclass(InputError, ValueError)
