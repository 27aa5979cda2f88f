"""Shares of an app's requests, as an operator writes them."""

import pytest

from drawbar.supervisor.front.shares import complete, in_words


@pytest.mark.parametrize(
    ("shares", "serving", "expected"),
    [
        ({"v7": 90.0, "v8": 10.0}, ["v7", "v8"], {"v7": 90.0, "v8": 10.0}),
        ({"v8": 10.0}, ["v7", "v8"], {"v7": 90.0, "v8": 10.0}),
        ({"v8": 10.0}, [""], {"": 90.0, "v8": 10.0}),
        ({"v8": 100.0, "v7": 0.0}, ["v6", "v7"], {"v8": 100.0, "v7": 0.0}),
        ({"v6": 33.3, "v7": 33.3, "v8": 33.4}, [], {"v6": 33.3, "v7": 33.3, "v8": 33.4}),
    ],
)
def test_what_is_left_goes_to_the_other_one(
    shares: dict[str, float], serving: list[str], expected: dict[str, float]
) -> None:
    assert complete(shares, serving) == expected


@pytest.mark.parametrize(
    ("shares", "serving", "why"),
    [
        ({"v7": 60.0, "v8": 60.0}, ["v7"], "these shares come to 120 %"),
        ({"v7": -1.0}, ["v7"], "0 % to 100 %"),
        ({"v8": 10.0}, ["v6", "v7"], r"whose are the other 90 % \(v6, v7\)"),
        ({"v8": 10.0}, ["v8"], "no other label is there"),
    ],
)
def test_what_makes_no_sense_is_told(shares: dict[str, float], serving: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        complete(shares, serving)


def test_in_words_those_without_a_share_are_left_out() -> None:
    assert in_words({"": 12.5, "v7": 0.0, "v8": 87.5}) == "workers without a label 12.5 %, v8 87.5 %"
