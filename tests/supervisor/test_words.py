"""Numbers of things."""

from drawbar.supervisor.words import plural


def test_one_and_many() -> None:
    assert [plural(number, "worker") for number in (0, 1, 2)] == ["0 workers", "1 worker", "2 workers"]
    assert plural(2, "worker serves", "workers serve") == "2 workers serve"
