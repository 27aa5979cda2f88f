"""Thread ranges."""

import pytest

from drawbar.config.threads import ThreadRange, parse_threads


@pytest.mark.parametrize(
    ("raw", "threads"),
    [(1, (1, 1)), (8, (8, 8)), ("1", (1, 1)), ("1:8", (1, 8)), (" 4:4 ", (4, 4)), ("1024", (1024, 1024))],
)
def test_forms(raw: object, threads: tuple[int, int]) -> None:
    parsed = parse_threads(raw)
    assert parsed == ThreadRange(*threads)
    assert parse_threads(str(parsed)) == parsed


@pytest.mark.parametrize("raw", ["", ":", "1:", ":8", "a", "1:2:3", "-1", "1.5", 1.5, True, None, "٣"])
def test_what_is_no_number_of_threads(raw: object) -> None:
    with pytest.raises(ValueError, match="is not a number of threads; write N or MIN:MAX such as 1:8"):
        parse_threads(raw)


@pytest.mark.parametrize("raw", [0, "0:8", "8:1", "1:1025"])
def test_what_is_out_of_range(raw: object) -> None:
    with pytest.raises(ValueError, match="is out of range; write N or MIN:MAX with 1 <= MIN <= MAX <= 1024"):
        parse_threads(raw)


def test_one_thread_is_inline() -> None:
    assert ThreadRange(1, 1).is_inline
    assert not ThreadRange(1, 8).is_inline
