from hypothesis import given
from hypothesis import strategies as st

from nas.export.usage import quote, to_source


@given(st.text(alphabet=st.characters(), max_size=20) | st.sampled_from(['"""', "\\'", "\udc80", "\u2028"]))
def test_any_text_is_quoted_as_data_on_one_line(text: str) -> None:
    literal = quote(text)
    assert eval(literal) == text
    assert len(literal.splitlines()) == 1
    literal.encode()


def test_what_is_not_known_is_left_out() -> None:
    assert to_source(64, None).endswith("\n\nINPUT_SIZE = 64  # pixels, height and width\n")
    assert "def load(" in to_source(64, None)
