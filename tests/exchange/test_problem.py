"""Problems as RFC 9457 has them."""

import json

from drawbar.exchange.problem import problem_json


def test_a_problem_is_an_object_titled_as_the_status_line() -> None:
    assert json.loads(problem_json(422, "why", {"code": "invalid"})) == {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "why",
        "code": "invalid",
    }
