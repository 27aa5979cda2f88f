"""From the configuration to queues and routes. Pure."""

from collections.abc import Iterator

from drawbar.config.apps import AppPlan
from drawbar.config.queue import QueueConfig
from drawbar.pull.queue import AppQueue
from drawbar.pull.routes import Route

USUAL_PRIORITY = 1
"""The class of requests whose path no preference names: one class goes before it."""


def make_queue(plan: AppPlan, queue: QueueConfig) -> AppQueue:
    """The queue of an application, with its bounds."""
    return AppQueue(
        plan.name,
        length=plan.length,
        bytes=plan.bytes,
        queue_ms=_ms(plan.time),
        deadline_ms=_ms(plan.deadline),
        lease_ms=_ms(plan.lease),
        pause_ms=_ms(queue.pause),
        attempts=plan.attempts,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def routes_of(plan: AppPlan) -> Iterator[Route]:
    """Where the application's requests come from: a route for each prefix that differs in something."""
    prefixes = dict.fromkeys(
        [plan.prefix, *(item.prefix for item in plan.priority), *plan.safe],
    )
    for host in plan.hosts or (None,):
        for prefix in prefixes:
            if lies_below(prefix, plan.prefix):
                repeatable = any(lies_below(prefix, safe) for safe in plan.safe)
                yield Route(host, prefix or "/", priority=_priority(prefix, plan), repeatable=repeatable)


def _priority(prefix: str, plan: AppPlan) -> int:
    """By the longest preference whose path holds it."""
    found = [item for item in plan.priority if lies_below(prefix, item.prefix)]
    return max(found, key=lambda item: len(item.prefix)).priority if found else USUAL_PRIORITY


def lies_below(path: str, prefix: str) -> bool:
    """Whether a path is `prefix` or goes on behind a slash; neither ends in one."""
    return path == prefix or path.startswith(f"{prefix}/")
