"""Asking a front: what its queues hold, by its API on the socket that the master keeps for that.

The front has one thread and serves clients with it, so it is asked for no more than is shown, and not waited for long.
What it does not tell is no mistake of anybody's: a front that is being replaced answers in a moment.
"""

import http.client
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from drawbar.net.figures import BOUNDS_S
from drawbar.supervisor.control.status import (
    Front,
    Histogram,
    Queue,
    QueueLabel,
    QueueRequest,
    QueueWorker,
    Trial,
)
from drawbar.supervisor.control.unix_http import UnixConnection

PATIENCE_S: Final = 1.0
"""For each step of an answer that takes the front a millisecond."""
SHOWN: Final = 50
"""Workers, and requests, of each application that are asked for."""
MOST_BYTES: Final = 8 << 20
"""Of an answer: hundreds of applications with all of theirs."""


def ask_front(path: str) -> Front:
    """What the front behind this socket tells."""
    connection = UnixConnection(path, PATIENCE_S)
    try:
        connection.request("GET", f"/api/v2/status?most={SHOWN}", headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(MOST_BYTES)
        if response.status != 200:
            return Front(silent=f"the front answers {response.status}")
        return Front(queues_of(msgspec.json.decode(body)))
    except TimeoutError:
        return Front(silent=f"the front does not answer within {PATIENCE_S:g} s")
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        return Front(silent=f"the front does not answer: {error}")
    finally:
        connection.close()


def queues_of(told: Mapping[str, Any]) -> list[Queue]:
    """Of /api/v2/status. Raises LookupError, TypeError, ValueError and MsgspecError for what is none."""
    return [_queue(name, app) for name, app in told["apps"].items()]


def _queue(name: str, app: Mapping[str, Any]) -> Queue:
    times = {key: _histogram(told) for key, told in app["histograms"].items()}
    return Queue(
        app=name,
        ready=app["ready"],
        reason=app.get("why_not_ready"),
        gate=app["gate"],
        queued=app["queued"],
        length=app["limits"]["length"],
        queued_bytes=app["queued_bytes"],
        oldest_s=app["oldest_ms"] / 1000,
        leased=app["leased"],
        idle=app["idle"],
        counters=dict(app["counters"]),
        labels=msgspec.convert(app["labels"], list[QueueLabel]),
        workers=msgspec.convert(app["workers"], list[QueueWorker]),
        workers_in_all=app["workers_in_all"],
        requests=_requests(app),
        client=times["client"],
        queue=times["queue"],
        called=times["app"],
        trial=msgspec.convert(app.get("trial"), Trial | None),
    )


def _requests(app: Mapping[str, Any]) -> list[QueueRequest]:
    waiting = [QueueRequest(told["request"], told["age_ms"] / 1000, told["attempts"]) for told in app["waiting"]]
    running = [
        QueueRequest(
            told["request"], told["age_ms"] / 1000, told["attempt"], told["worker"], told["label"], told["answering"]
        )
        for told in app["requests"]
    ]
    return sorted([*running, *waiting], key=lambda request: (request.answering, -request.age_s))[:SHOWN]


def _histogram(told: Mapping[str, Any]) -> Histogram:
    up_to = [number for _, number in told["up_to_s"]]
    counts = [number - below for number, below in zip([*up_to, told["count"]], [0, *up_to], strict=True)]
    if len(up_to) != len(BOUNDS_S):
        raise ValueError("a histogram has other bounds")
    return Histogram(list(BOUNDS_S), counts, told["sum_s"])
