"""When a worker says that it has served enough."""

from drawbar.config import LifecycleConfig
from drawbar.supervisor.pool import Cause
from drawbar.supervisor.worker.enough import CAUSE, Enough


def reports(requests: int, most: int = 0, jitter: int = 0) -> list[tuple[int, str]]:
    """What is reported, each with the number of requests behind which it was; chance gives the most it may."""
    told: list[tuple[int, str]] = []
    done: list[None] = []
    lifecycle = LifecycleConfig(max_requests=most, max_requests_jitter=jitter)
    enough = Enough(lifecycle, lambda line: told.append((len(done), line)), chance=lambda least, most: most)
    for _ in range(requests):
        done.append(None)
        enough.note(None)
    return told


def test_says_so_once() -> None:
    assert reports(10, most=3) == [(3, "recycle max-requests")]


def test_chance_adds_to_the_limit() -> None:
    assert reports(10, most=3, jitter=4) == [(7, "recycle max-requests")]


def test_no_limit_is_never_reached() -> None:
    assert reports(10) == []


def test_the_master_knows_the_cause() -> None:
    assert Cause(CAUSE) is Cause.MAX_REQUESTS
