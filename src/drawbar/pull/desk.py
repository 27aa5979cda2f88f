"""Where workers ask for requests and hand in responses: what both HTTP lanes share.

Law: a question that waits is room for one request, of a queue that knows nothing else of it; the lane it came by says
how a request is written, and what it is told when none came. A lease that was given here ends by the clock, as its
worker is seen only while it asks. Whatever a worker hands in, either its client gets a response that is whole, or one
of ours that says what is wrong.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from drawbar.exchange.errors import ClientDisconnected
from drawbar.net.reactor import Reactor
from drawbar.pull.call import Alarm, Call
from drawbar.pull.entry import Entry, Fate, Room
from drawbar.pull.envelope import Answer, Request
from drawbar.pull.front import Delivery, Front
from drawbar.pull.labels import Joined
from drawbar.pull.leases import Leases
from drawbar.pull.problem import Problem
from drawbar.pull.queue import AppQueue
from drawbar.pull.tokens import Grant

MOST_SEEN: Final = 10_000
"""Workers remembered for reports; past it those seen longest ago are forgotten."""
FORGET_MS: Final = 300_000
"""A worker that has not asked for so long is not reported any more."""
BAD_GATEWAY: Final = 502
TOO_LARGE: Final = 413


class Limits(NamedTuple):
    """What workers may ask for. Sizes in bytes, times in milliseconds."""

    body_bytes: int = 16 << 20
    """Of a request's or response's body in one piece, as JSON needs it; past it 413. `message/http` is streamed."""
    head_bytes: int = 32_768
    """Of the head of a response in `message/http`; past it 422."""
    v1_wait_ms: int = 5_000
    """A question of lane v1 waits so long."""
    wait_ms: int = 30_000
    """One of lane v2 that does not say how long."""
    most_wait_ms: int = 60_000
    """The longest that it can say; past it 400."""
    polls: int = 10_000
    """Questions waiting at once; past it 503."""
    attached: int = 10_000
    """Connections on the attach lane; past it 503."""
    output_bytes: int = 262_144
    """Of a streamed response that wait for their client; past it its worker is not read from."""


class Lane(Protocol):
    """How a lane writes to its workers."""

    name: str

    def give(self, call: Call, lease_id: str, delivery: Delivery) -> None:
        """Answers the question with a request."""

    def nothing(self, call: Call) -> None:
        """Answers it when there is none."""


class Seen:
    """A worker that asks over and over, for reports."""

    __slots__ = ("app", "given", "label", "lane", "seen_ms", "waiting", "worker")

    def __init__(self, app: str, lane: str, label: str, worker: str) -> None:
        self.app = app
        self.lane = lane
        self.label = label
        self.worker = worker
        self.seen_ms = 0
        self.waiting = 0
        self.given = 0


class Poll(Room):
    """A question that waits: room for one request."""

    def __init__(self, desk: "Desk", call: Call, queue: AppQueue, seen: Seen, lane: Lane) -> None:
        super().__init__(seen.label, seen.worker, timed=True)
        self._desk = desk
        self._call = call
        self._queue = queue
        self._seen = seen
        self._lane = lane
        self._alarm: Alarm | None = None
        self.is_open = True

    def wait(self, reactor: Reactor, wait_ms: int) -> None:
        """Until a request comes, the time is over, or the worker leaves."""
        self._call.on_gone = self._left
        self._alarm = Alarm(reactor, self.end)
        self._alarm.set(wait_ms)

    def deliver(self, entry: Entry) -> None:
        """The queue's word: this request is the worker's."""
        self._close()
        self._seen.given += 1
        self._desk.give(self._call, entry, self._lane)

    def end(self) -> None:
        """No request has come."""
        self._queue.remove_room(self)
        self._close()
        try:
            self._lane.nothing(self._call)
        except ClientDisconnected:
            self._call.abort()

    def _left(self) -> None:
        # Also when only its side is shut: which of both it is, only an answer would show, and that may be a request.
        self._queue.remove_room(self)
        self._close()
        self._call.abort()

    def _close(self) -> None:
        self.is_open = False
        self._seen.waiting -= 1
        self._desk.polls.discard(self)
        self._call.on_gone = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


class Desk:
    """Waiting questions, leases given to them, and the workers behind.

    report: called with what went wrong here that is nobody else's fault.
    """

    def __init__(
        self, front: Front, reactor: Reactor, limits: Limits, report: Callable[[BaseException], object]
    ) -> None:
        self.front = front
        self.limits = limits
        self.leases = Leases()
        self.polls: set[Poll] = set()
        self.seen: dict[tuple[str, str, str, str], Seen] = {}
        self.is_draining = False
        self._reactor = reactor
        self._report = report

    # -- questions

    def ask(self, call: Call, app: str, label: str, worker: str, wait_ms: int, lane: Lane) -> None:
        """Takes a question in: answered at once when a request waits. Raises Problem when it cannot be."""
        if len(self.polls) >= self.limits.polls:
            raise Problem(
                "too-many-polls",
                f"{len(self.polls)} questions wait here already",
                "fewer workers, or a higher limit in the server's settings",
                fields=((b"Retry-After", b"1"),),
            )
        queue = self.front.queues[app]
        poll = Poll(self, call, queue, self._see(app, lane.name, label, worker or _address(call)), lane)
        joined = queue.add_room(poll)
        if joined is not Joined.JOINED:
            raise _not_joined(joined, label)
        self.polls.add(poll)
        poll._seen.waiting += 1
        if self.front.presence is not None:
            pid = call.pid if call.remote is None else 0
            self.front.presence.asked(app, label, pid, self.front.now_ms + wait_ms)
        self.front.dispatch(queue)
        if not poll.is_open:
            return
        if wait_ms and not self.is_draining:
            poll.wait(self._reactor, wait_ms)
        else:
            poll.end()

    def drain(self) -> None:
        """Sends everybody away who waits, and from now on those who ask and find nothing."""
        self.is_draining = True
        for poll in list(self.polls):
            poll.end()

    def give(self, call: Call, entry: Entry, lane: Lane) -> None:
        """Writes a request to the worker that has just got it."""
        delivery: Delivery = entry.payload  # type: ignore[assignment]  # what the front puts there
        body = delivery.exchange.body
        if body is not None and not body.complete:
            # Of an app whose bodies are streamed: only a connection of its own could bring the rest.
            delivery.fail(BAD_GATEWAY, "the body is still to come, and only attached workers can take it so")
            lane.nothing(call)
            return
        lease_id = self.leases.open(entry)
        try:
            lane.give(call, lease_id, delivery)
        except ClientDisconnected:
            # Nobody has seen it: it goes to the next.
            if not delivery.over:
                self.front.release(delivery)
            call.abort()
        except Exception as error:
            self._report(error)
            if not delivery.over:
                delivery.fail(BAD_GATEWAY, "the request could not be handed to a worker")
            call.fail(500, "the request could not be written")

    def _see(self, app: str, lane: str, label: str, worker: str) -> Seen:
        key = (app, lane, label, worker)
        # Out and in again: the order is that of their last question.
        seen = self.seen.pop(key, None) or Seen(app, lane, label, worker)
        self.seen[key] = seen
        seen.seen_ms = self.front.now_ms
        if len(self.seen) > MOST_SEEN:
            del self.seen[next(iter(self.seen))]
        return seen

    def workers(self, app: str, now_ms: int) -> list[Seen]:
        """Those of an app that have asked lately, or wait."""
        for key, seen in list(self.seen.items()):
            if seen.waiting == 0 and now_ms - seen.seen_ms > FORGET_MS:
                del self.seen[key]
        return [seen for seen in self.seen.values() if seen.app == app]

    # -- responses

    def leased(self, lease_id: str, grant: Grant) -> Entry:
        """The request on that lease. Raises Problem when there is none, or it is not the worker's to answer."""
        found = self.leases.find(lease_id)
        if found is None:
            raise Problem(
                "unknown-request",
                "this id is unknown: it was never given out here, or its request is answered",
                "the Drawbar-Request-Id of a request that was given out and has no answer yet",
            )
        if isinstance(found, Entry):
            if not grant.allows(_app(found)):
                raise Problem("not-granted", "this request is of an app that this token is not for")
            return found
        if found is Fate.ABANDONED:
            raise Problem("client-gone", "the client of this request has left: nobody waits for a response")
        raise Problem(
            "lease-lost",
            "the lease of this request has ended: it was given back, took too long, or another worker has it",
            "a response within the lease (Drawbar-Lease-Ms), or POST .../renew before its end",
        )

    def send(self, delivery: Delivery, answer: Answer) -> None:
        """Answers a client. Raises AppError for what HTTP does not allow, and ClientDisconnected."""
        delivery.begin(answer.status, None, answer.fields)
        if answer.body:
            delivery.write(answer.body, True)
        else:
            delivery.finish()


def refuse(delivery: Delivery, status: int, why: str) -> None:
    """Answers a client in its worker's place, if it has no answer yet."""
    if not delivery.over:
        delivery.fail(status, why)


def body_of(delivery: Delivery, limits: Limits) -> bytes | None:
    """A request's body in one piece; None when it is too long for that, and its client has been told so."""
    if delivery.body_size > limits.body_bytes:
        delivery.fail(TOO_LARGE, f"the body is longer than the {limits.body_bytes} bytes this app's worker takes")
        return None
    body = delivery.open_body()
    return body.read() if body is not None else b""


def request_of(delivery: Delivery) -> Request:
    """What a worker is told of a request, but for its body."""
    remote = delivery.remote
    return Request(
        delivery.method,
        delivery.target,
        delivery.http_version,
        delivery.scheme,
        remote[0] if remote is not None else "",
        delivery.fields,
    )


def _app(entry: Entry) -> str:
    return entry.queue.name if entry.queue is not None else ""


def _address(call: Call) -> str:
    remote = call.remote
    # Not the port: each question may come by a connection of its own.
    return remote[0] if remote is not None else "unix"


def _not_joined(joined: Joined, label: str) -> Problem:
    if joined is Joined.RETIRED:
        return Problem(
            "retired", f"the label {label!r} is retired: it gets no more requests", "a worker with the present label"
        )
    return Problem("too-many-polls", "this app has workers of too many labels", "one label for each version of the app")
