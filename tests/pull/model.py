"""The queue once more, as plainly as it can be said: lists and dictionaries, searched from end to end.

It says what ought to happen and cares for nothing else. Rooms are the real ones, of which only `label` and `timed` are
read. The state machine holds the native queue against it.
"""

from dataclasses import dataclass, field

from drawbar.pull.entry import Room

TICK_MS = 50
MOST_CREDIT = 10.0


@dataclass(eq=False)
class Request:
    """One request, and all that ever happened to it."""

    size: int
    priority: int
    safe: bool
    accepted_ms: int
    deadline_ms: int
    state: str = "queued"
    attempts: int = 0
    begun: bool = False
    # By the clock of waits.
    since: int = 0
    lease_end: int | None = None
    room: Room | None = None


@dataclass
class Settings:
    """As of the native queue."""

    length: int
    bytes: int
    queue_ms: int
    deadline_ms: int
    lease_ms: int
    pause_ms: int
    attempts: int


def ticked(moment: int, now: int) -> bool:
    """Whether a tick has come since that moment."""
    return -(-moment // TICK_MS) <= now // TICK_MS


@dataclass
class Model:
    """One app's queue."""

    settings: Settings
    now: int
    # In the order in which they are to be served; of all classes.
    waiting: list[Request] = field(default_factory=list)
    leased: list[Request] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    # The last freed is the last.
    idle: list[Room] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    retired: set[str] = field(default_factory=set)
    weights: dict[str, float] | None = None
    credit: dict[str, float] = field(default_factory=dict)
    gate: str = "open"
    paused_at: int = 0
    held: int = 0

    # -- time

    def clock(self) -> int:
        """Of waits."""
        paused = min(self.now - self.paused_at, self.settings.pause_ms) if self.gate == "paused" else 0
        return self.now - self.held - paused

    def overdue(self) -> set[tuple[Request, str]]:
        """What the clock ends now; leases that it ends are still there."""
        found: set[tuple[Request, str]] = set()
        for request in list(self.waiting):
            if request.since + self.settings.queue_ms <= self.clock():
                found.add((request, "QUEUED_TOO_LONG"))
                self.end(request, "queued_too_long")
        for request in self.waiting + self.leased:
            if request.begun:
                continue
            if ticked(request.deadline_ms, self.now):
                found.add((request, "PAST_DEADLINE"))
                self.end(request, "past_deadline")
            elif request.lease_end is not None and ticked(request.lease_end, self.now):
                request.lease_end = None
                found.add((request, "LEASE_LOST"))
        return found

    # -- in and out

    def put(self, request: Request) -> str:
        """The verdict."""
        if self.gate == "closed":
            return "STOPPED"
        waits = self.gate == "paused" or len(self.waiting) >= len([room for room in self.idle if self.may(room.label)])
        if waits and len(self.waiting) >= self.settings.length:
            return "FULL_LENGTH"
        if waits and sum(other.size for other in self.waiting) + request.size > self.settings.bytes:
            return "FULL_BYTES"
        self.wait(request, first=False)
        return "ACCEPTED"

    def wait(self, request: Request, *, first: bool) -> None:
        """Before or behind all of its class."""
        request.state = "queued"
        request.since = self.clock()
        request.room = None
        request.lease_end = None
        if first:
            before = [other for other in self.waiting if other.priority < request.priority]
        else:
            before = [other for other in self.waiting if other.priority <= request.priority]
        self.waiting.insert(len(before), request)

    def match(self) -> Request | None:
        """The one that is served next, if any is."""
        room = self.next_room() if self.waiting and self.gate != "paused" else None
        if room is None:
            return None
        self.idle.remove(room)
        request = self.waiting.pop(0)
        request.state = "leased"
        request.attempts += 1
        request.room = room
        request.lease_end = self.now + self.settings.lease_ms if room.timed else None
        self.leased.append(request)
        return request

    def may(self, label: str) -> bool:
        """Whether rooms of that label may get requests."""
        return label not in self.retired and (self.weights is None or self.weights.get(label, 0) > 0)

    def next_room(self) -> Room | None:
        """Last freed first, of the label that is owed most."""
        rooms = [room for room in self.idle if self.may(room.label)]
        if not rooms or self.weights is None:
            return rooms[-1] if rooms else None
        there = {room.label for room in self.idle} | {request.room.label for request in self.leased if request.room}
        present = [label for label in self.labels if label in there and self.may(label)]
        total = 0.0
        for label in present:
            total += self.weights[label]
        for label in present:
            self.credit[label] = min(self.credit.get(label, 0.0) + self.weights[label] / total, MOST_CREDIT)
        ready = [label for label in present if any(room.label == label for room in rooms)]
        best = max(ready, key=lambda label: self.credit[label])
        self.credit[best] = max(self.credit[best] - 1.0, -MOST_CREDIT)
        return [room for room in rooms if room.label == best][-1]

    def end(self, request: Request, how: str) -> None:
        """For good."""
        (self.waiting if request.state == "queued" else self.leased).remove(request)
        request.state = "done"
        self.done[how] = self.done.get(how, 0) + 1

    def back(self, request: Request, again: bool) -> str:
        """From a worker that did not answer."""
        if request.begun or not again:
            self.end(request, "broken")
            return "BROKEN"
        self.leased.remove(request)
        self.wait(request, first=True)
        return "AGAIN"

    def join(self, room: Room) -> bool:
        """Whether that room is wanted."""
        if room.label not in self.labels:
            self.labels.append(room.label)
        if room.label not in self.retired:
            self.idle.append(room)
        return room.label not in self.retired

    def open(self) -> None:
        """Ends a pause or a stop."""
        self.held = self.now - self.clock()
        self.gate = "open"
