"""Problems as RFC 9457 has them."""

import json

import pytest

from drawbar.pull.problem import CODES, Problem, shortened
from drawbar.wire.h1 import reason_phrase


def test_a_problem_says_what_is_wrong_and_what_would_be_right() -> None:
    problem = Problem("unknown-app", "there is no app 'x'", "one of: shop", more={"apps": ["shop"]})
    assert json.loads(problem.body()) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "unknown-app",
        "detail": "there is no app 'x'",
        "expected": "one of: shop",
        "apps": ["shop"],
    }
    assert (b"Content-Type", b"application/problem+json") in problem.head()


@pytest.mark.parametrize("code", CODES)
def test_every_code_can_be_told(code: str) -> None:
    members = json.loads(Problem(code, "why").body())
    assert (members["status"], members["title"]) == (CODES[code], reason_phrase(CODES[code]))
    assert members["title"] != "Unknown"


def test_the_title_is_that_of_the_status_line() -> None:
    assert json.loads(Problem("invalid-response", "why").body())["title"] == "Unprocessable Content"


def test_text_of_others_is_cut() -> None:
    assert shortened("a\n") == r"'a\n'"
    assert len(shortened("x" * 1_000)) == 82
