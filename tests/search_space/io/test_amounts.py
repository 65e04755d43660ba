import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.errors import InputError
from search_space.io.amounts import (
    format_amount,
    format_clock,
    parse_amount,
    parse_band,
    parse_milliseconds,
    parse_seconds,
    parse_seconds_of,
    parse_share,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("400M", 400_000_000),
        ("0.4B", 400_000_000),
        ("0.4g", 400_000_000),
        ("3.9e8", 390_000_000),
        ("385814752", 385_814_752),
        (" 1.5 k ", 1500),
        (".5M", 500_000),
        ("2T", 2 * 10**12),
        ("1e18", 10**18),
        ("385.814752M", 385_814_752),
        ("0.00000001e9M", 10_000_000),
    ],
)
def test_amounts_as_people_write_them(text: str, amount: int) -> None:
    assert parse_amount(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "banana",
        "",
        "-400M",
        "+1",
        "inf",
        "nan",
        "1e",
        "4 0 0",
        "0x10",
        "1_000",
        "400MM",
        "M",
        "1,5M",
        "٣",
        "400M\n1",
        "1" * 61,
    ],
)
def test_what_is_not_an_amount(text: str) -> None:
    with pytest.raises(InputError, match=r"--target-flops: expected an amount such as 400M, 0.4B or 3.9e8, got '"):
        parse_amount(text, "--target-flops")


@pytest.mark.parametrize("text", ["0", "0.0M", "1e-9", "1e999", "2e18", "0.9", "1e18K"])
def test_amounts_out_of_range(text: str) -> None:
    with pytest.raises(InputError, match="x: must be from 1 to 10"):
        parse_amount(text, "x")


@given(st.text(max_size=70))
def test_any_text_is_an_amount_or_one_line(text: str) -> None:
    problem, amount = "", 1
    try:
        amount = parse_amount(text)
    except InputError as error:
        problem = str(error)
    assert "\n" not in problem
    assert isinstance(amount, int)
    assert 1 <= amount <= 10**18


@given(st.integers(1, 10**18))
def test_exact_amounts_round_trip(amount: int) -> None:
    assert parse_amount(str(amount)) == amount


@given(st.integers(1, 10**15))
def test_what_is_printed_is_read_back_to_four_digits(amount: int) -> None:
    text = format_amount(amount)
    assert len(text) <= 6
    assert abs(parse_amount(text) - amount) <= 0.0005 * amount + 1


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1, "1"),
        (999, "999"),
        (1000, "1K"),
        (385_814_752, "385.8M"),
        (999_960_000, "1B"),
        (62_597_461_568, "62.6B"),
        (3 * 10**15, "3000T"),
    ],
)
def test_printed_amounts(amount: int, text: str) -> None:
    assert format_amount(amount) == text


def test_bands() -> None:
    assert parse_band("380M-450M") == (380_000_000, 450_000_000)
    assert parse_band("380M - 0.45B") == (380_000_000, 450_000_000)
    assert parse_band("5-5") == (5, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("400M", "--macs: expected two amounts such as 380M-450M, got '400M'"),
        ("450M-380M", "--macs: must run from low to high, got '450M-380M'"),
        ("banana-1", "--macs: expected an amount .* got 'banana'"),
        ("-1M", "--macs: expected an amount"),
        ("1M-", "--macs: expected an amount"),
    ],
)
def test_bad_bands(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_band(text, "--macs")


@pytest.mark.parametrize(("text", "value"), [("20ms", 20.0), ("0.5s", 500.0), (" 7 ", 7.0), (".25 ms", 0.25)])
def test_times_as_people_write_them(text: str, value: float) -> None:
    assert parse_milliseconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-3ms", "20us", "ms", "1e3", "nan", "9" * 70, "9999999s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InputError, match="--target-latency: expected a time above 0 such as 20ms"):
        parse_milliseconds(text, "--target-latency")


@pytest.mark.parametrize(("text", "value"), [("20m", 1200.0), ("1.5h", 5400.0), (" 90 s", 90.0), ("1200.0", 1200.0)])
def test_seconds_as_people_write_them(text: str, value: float) -> None:
    assert parse_seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-3m", "20ms", "m", "1e3", "nan", "9" * 70, "9999999h", "1h30m"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(InputError, match="--time: expected a time above 0 such as 90s, 20m or 2h"):
        parse_seconds(text, "--time")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (200, "3:20"), (3599, "59:59"), (18_725, "5:12:05")])
def test_clocks(seconds: int, text: str) -> None:
    assert format_clock(seconds) == text


@pytest.mark.parametrize("text", ["20", "x%", "-1%", "10001%", "", "nan%"])
def test_shares(text: str) -> None:
    assert parse_share("20%", "--budget") == 0.2
    with pytest.raises(InputError, match="--budget: expected a percentage"):
        parse_share(text, "--budget")


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600.0), ("25%", 50.0), ("1%", 2.0)])
def test_a_time_or_a_part_of_one(text: str, seconds: float) -> None:
    assert parse_seconds_of(text, "share", "time", 200.0) == seconds


@pytest.mark.parametrize(
    ("text", "whole"), [("25%", None), ("0.9%", 200.0), ("100%", 200.0), ("%", 200.0), ("x", 200.0)]
)
def test_what_is_no_part_of_a_time(text: str, whole: float | None) -> None:
    with pytest.raises(InputError, match=f"share: .*, got '{text}'"):
        parse_seconds_of(text, "share", "time", whole)
