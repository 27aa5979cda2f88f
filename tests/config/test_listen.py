"""[listen]: addresses of single workers."""

import pytest

from drawbar.config.listen import parse_worker_bind


@pytest.mark.parametrize("text", ["127.0.0.1:900{n}", "unix:/run/app.{n}.sock", "unix:@app{n}", "[::1]:800{n}"])
def test_an_address_with_the_number_in_it(text: str) -> None:
    assert parse_worker_bind(f" {text} ") == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1:9000", "the same for every worker; write {n}"),
        ("fd://{n}", "a descriptor"),
        ("localhost{n}", "has no port"),
        ("127.0.0.1:6666{n}", "has no valid port"),
    ],
)
def test_what_is_no_address_for_each_worker(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_worker_bind(text)


def test_a_number_is_no_address() -> None:
    with pytest.raises(ValueError, match="not text"):
        parse_worker_bind(9000)
