"""How values are written, and that what is shown reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.config.kinds import DURATION, INTEGER, SIZE, TEXT, choice, parse_boolean


@pytest.mark.parametrize(
    ("raw", "size"),
    [(0, 0), (65536, 65536), ("65536", 65536), ("64k", 65536), ("64 KiB", 65536), ("1.5m", 3 << 19), ("2G", 2 << 30)],
)
def test_sizes(raw: object, size: int) -> None:
    assert SIZE.parse(raw) == size


@pytest.mark.parametrize(
    "raw", [-1, 1.5, True, "", "k", "-1k", "1e3", "12x", "0.3", "nan", "1.2.3", "1 2k", "٣", None, []]
)
def test_what_is_no_size(raw: object) -> None:
    with pytest.raises(ValueError, match="is not a size; write bytes such as 65536, or 64k"):
        SIZE.parse(raw)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [(30, 30.0), (0.25, 0.25), ("30", 30.0), ("30s", 30.0), ("500ms", 0.5), ("2m", 120.0), ("1.5 h", 5400.0), (0, 0.0)],
)
def test_durations(raw: object, seconds: float) -> None:
    parsed = DURATION.parse(raw)
    assert parsed == seconds
    assert type(parsed) is float


@pytest.mark.parametrize("raw", [-1, True, float("nan"), float("inf"), "", "s", "-1s", "inf", "1e3", "5 days", None])
def test_what_is_no_duration(raw: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write seconds such as 30, or 500ms"):
        DURATION.parse(raw)


@given(st.integers(0, 1 << 50))
def test_a_shown_size_reads_back(size: int) -> None:
    assert SIZE.parse(SIZE.show(size)) == size


@given(st.integers(0, 86_400_000))
def test_a_shown_duration_reads_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert DURATION.parse(DURATION.show(seconds)) == seconds


@given(st.text())
def test_text_is_a_value_or_a_value_error(text: str) -> None:
    for kind in (SIZE, DURATION):
        try:
            value = kind.parse(text)
        except ValueError:
            continue
        assert value >= 0


@pytest.mark.parametrize("raw", [True, "true", "Yes", "on", "1", " TRUE "])
def test_yes(raw: object) -> None:
    assert parse_boolean(raw) is True


@pytest.mark.parametrize("raw", [False, "false", "no", "OFF", "0"])
def test_no(raw: object) -> None:
    assert parse_boolean(raw) is False


@pytest.mark.parametrize("raw", ["", "maybe", 1, 0, None])
def test_neither_yes_nor_no(raw: object) -> None:
    with pytest.raises(ValueError, match="is not a yes or no"):
        parse_boolean(raw)


@pytest.mark.parametrize("raw", [True, 1.0, "1.0", "", "0x10", None])
def test_what_is_no_whole_number(raw: object) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        INTEGER.parse(raw)


def test_a_whole_number() -> None:
    assert INTEGER.parse("50_000") == INTEGER.parse(50_000) == 50_000


@pytest.mark.parametrize("raw", ["a\nb", "a\0b", "\x7f"])
def test_text_has_no_control_characters(raw: str) -> None:
    with pytest.raises(ValueError, match="holds a control character"):
        TEXT.parse(raw)


def test_text_is_text() -> None:
    with pytest.raises(ValueError, match="3 is not text; put it in quotes"):
        TEXT.parse(3)


def test_a_choice_names_its_values() -> None:
    kind = choice(("auto", "wsgi"))
    assert kind.parse("WSGI") == "wsgi"
    assert kind.metavar == "auto|wsgi"
    with pytest.raises(ValueError, match="'asgi' is not one of auto, wsgi"):
        kind.parse("asgi")
