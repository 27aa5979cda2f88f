"""From the configuration to queues and routes."""

import pytest

from drawbar.config.app_table import AppTable
from drawbar.config.apps import AppPlan, plan_apps
from drawbar.config.mounts import Mount, Preference
from drawbar.config.queue import QueueConfig
from drawbar.supervisor.front.plan import lies_below, make_queue, routes_of


def plan(table: AppTable | None = None, *mounts: Mount) -> AppPlan:
    (found,) = plan_apps(mounts or [Mount("app", "", "")], {"app": table} if table else {}, QueueConfig())
    return found


def shown(found: AppPlan) -> list[tuple[str | None, str, int, bool]]:
    return [(route.host, route.prefix, route.priority, route.repeatable) for route in routes_of(found)]


def test_an_application_that_takes_all_has_one_route() -> None:
    assert shown(plan()) == [(None, "/", 1, False)]


def test_each_host_has_each_route() -> None:
    mounts = [Mount("app", "a.org", "/x"), Mount("app", "*.b.org", "/x")]
    assert shown(plan(None, *mounts)) == [("a.org", "/x", 1, False), ("*.b.org", "/x", 1, False)]


def test_a_longer_preference_goes_before_a_shorter_one() -> None:
    table = AppTable(priority=(Preference("/api", 0), Preference("/api/export", 3)), safe=("/api/read",))
    assert shown(plan(table)) == [
        (None, "/", 1, False),
        (None, "/api", 0, False),
        (None, "/api/export", 3, False),
        (None, "/api/read", 0, True),
    ]


def test_what_lies_outside_of_the_application_is_no_route_of_it() -> None:
    table = AppTable(prefix="/shop", priority=(Preference("/", 2), Preference("/blog", 0), Preference("/shop/x", 0)))
    assert shown(plan(table)) == [(None, "/shop", 1, False), (None, "/shop/x", 0, False)]


def test_a_safe_prefix_above_the_application_makes_all_of_it_safe() -> None:
    table = AppTable(prefix="/shop", safe=("",))
    assert shown(plan(table)) == [(None, "/shop", 1, True)]


@pytest.mark.parametrize(
    ("path", "prefix", "expected"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "", True),
        ("", "", True),
        ("", "/a", False),
    ],
)
def test_paths_below_a_prefix(path: str, prefix: str, expected: bool) -> None:
    assert lies_below(path, prefix) is expected


def test_a_queue_has_its_bounds_in_milliseconds() -> None:
    table = AppTable(queue_length=5, queue_time=0.5, deadline=2.0, lease=3.0, attempts=2)
    queue = make_queue(plan(table), QueueConfig(pause=4.0))
    assert (queue.name, queue.length, queue.queue_ms, queue.deadline_ms) == ("app", 5, 500, 2000)
    assert (queue.lease_ms, queue.pause_ms, queue.attempts) == (3000, 4000, 2)
