"""What is read off the shared page, as plain values. No counting happens here, and nothing is formatted for anybody."""

from __future__ import annotations

from typing import NamedTuple

BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of the histograms' buckets in seconds, each included. One more bucket holds what took longer."""


ANSWERING = "answering"
"""State of a request in flight whose answer's head is out, or going out."""


class Histogram(NamedTuple):
    """How often something took how long."""

    buckets: tuple[int, ...]
    """Observations in each bucket on its own: one more than there are bounds."""
    sum_s: float
    """Seconds of all observations together."""

    @property
    def observations(self) -> int:
        """All of them."""
        return sum(self.buckets)

    def cumulative(self) -> list[tuple[float, int]]:
        """(upper bound in seconds, observations up to it), the last with infinity."""
        total = 0
        pairs = []
        for bound, number in zip((*BOUNDS_S, float("inf")), self.buckets, strict=True):
            total += number
            pairs.append((bound, total))
        return pairs


class Counters(NamedTuple):
    """What only ever grows, of one worker or of all there were."""

    requests: tuple[int, int, int, int, int, int]
    """Finished ones by status class: 1xx to 5xx at 1 to 5; at 0 those broken off before they had a status."""
    latency: Histogram
    """From the whole request (its head, when the body is streamed) to the last byte of the answer."""
    queued: Histogram
    """From the same moment to the call of the application."""
    bytes_in: int
    bytes_out: int
    connections: int
    """Accepted ones."""
    refused: int
    """Requests the server answered itself, before any application; also among `requests`."""
    timed_out: int
    """Requests called off because their time was over; also among `requests`, as 5xx."""
    collections: tuple[int, int, int]
    """Runs of Python's collector by generation."""
    collecting_s: float
    """Seconds they took."""

    @property
    def total(self) -> int:
        """All finished requests."""
        return sum(self.requests)


class InFlight(NamedTuple):
    """A request that is with its application, or waits for it."""

    text: str
    """METHOD and target, cut at 80 bytes."""
    started_ns: int
    """When it had come, on the monotonic clock."""
    called_ns: int
    """When its application was called; 0: it waits for that."""
    thread: int
    """threading.get_ident() of the thread it was called on; 0: not called yet."""
    serial: int
    """Tells it from every other request of its worker."""
    state: str
    """"running", "answering" (its head is out or going out), or "timed out"."""
    raw: bool
    """Another protocol took the connection over: a WebSocket."""
    peer: tuple[str, int] | None
    """Address and port the connection comes from; None for a Unix socket."""
