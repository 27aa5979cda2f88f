"""The native queue and the model side by side: what clients, workers, the clock and operators do, done to both.

After each step everything that can be matched is, as the front does, and everything is compared. What must never happen
is said once more for itself, so that the model may be wrong, too.
"""

from drawbar.pull.entry import Due, Entry, Fate, Room, RoomState, State
from drawbar.pull.leases import Leases
from drawbar.pull.queue import AppQueue, Back, Gate
from tests.pull.model import TICK_MS, Model, Request, Settings

LABELS = ("v7", "v8", "v9")


class SideBySide:
    """One app."""

    def __init__(self, settings: Settings) -> None:
        self.model = Model(settings, now=1_000_000)
        self.queue = AppQueue("app", **vars(settings))
        self.entries: dict[Request, Entry] = {}
        self.accepted = 0
        # Requests that a worker has had for good: it was lost with them, or gave them back half done.
        self.ran: set[Request] = set()
        self.leases = Leases(remembered=3)
        self.lease_ids: dict[Request, str] = {}

    # -- what the caller of a queue does

    def settle(self) -> None:
        """Gives out what can be given out."""
        while True:
            expected = self.model.match()
            entry = self.queue.match(self.model.now)
            assert (entry and entry.payload) is expected
            if entry is None or expected is None:
                return
            assert entry.room is expected.room
            assert expected not in self.ran or (expected.safe and not expected.begun), "run twice"
            assert 1 <= entry.attempts <= self.model.settings.attempts
            assert entry.room is not None
            assert entry.room.state is RoomState.TAKEN
            assert entry.room.entry is entry
            self.lease_ids[expected] = self.leases.open(entry)

    def lose(self, request: Request) -> None:
        entry = self.entries[request]
        if request.state != "leased":
            assert self.queue.lose(entry, self.model.now) is Back.NOT_LEASED
            return
        self.ran.add(request)
        again = request.safe and request.attempts < self.model.settings.attempts
        assert self.queue.lose(entry, self.model.now).name == self.model.back(request, again)

    # -- clients

    def arrives(self, size: int, priority: int, safe: bool, age: int) -> Request | None:
        accepted = self.model.now - age
        request = Request(size, priority, safe, accepted, accepted + self.model.settings.deadline_ms)
        entry = Entry(request, safe=safe)
        entry.accepted_ms = accepted
        verdict = self.queue.put(entry, size, priority, self.model.now)
        assert verdict.name == self.model.put(request)
        if verdict.name != "ACCEPTED":
            return None
        self.accepted += 1
        self.entries[request] = entry
        self.settle()
        return request

    def leaves(self, request: Request) -> None:
        entry = self.entries[request]
        told = self.queue.forget(entry)
        assert told is (request.room if request.state == "leased" else None)
        if request.state != "done":
            self.model.end(request, "abandoned")

    # -- workers

    def offers(self, label: str, timed: bool) -> Room:
        room = Room(label, "worker", timed=timed)
        self.add(room)
        return room

    def add(self, room: Room) -> None:
        assert (self.queue.add_room(room).name == "JOINED") == self.model.join(room)
        self.settle()

    def offers_again(self, room: Room) -> None:
        if room.state is not RoomState.IDLE and room.entry is None:
            self.add(room)

    def answers(self, request: Request, failed: bool, stays: bool) -> None:
        entry = self.entries[request]
        room = request.room
        leased = request.state == "leased"
        assert self.queue.finish(entry, failed) == leased
        if leased:
            assert room is not None
            self.model.end(request, "answered")
            if stays:
                self.add(room)

    def begins_to_answer(self, request: Request) -> None:
        leased = request.state == "leased"
        assert self.queue.begin(self.entries[request]) == leased
        if leased:
            request.begun = True
            request.lease_end = None

    def dies(self, room: Room) -> None:
        entry = room.entry
        self.queue.remove_room(room)
        if room in self.model.idle:
            self.model.idle.remove(room)
        if entry is not None:
            assert isinstance(entry.payload, Request)
            self.lose(entry.payload)
        self.settle()

    def gives_back(self, request: Request, unrun: bool) -> None:
        entry = self.entries[request]
        if request.state != "leased":
            assert self.queue.release(entry, self.model.now, unrun) is Back.NOT_LEASED
            return
        request.attempts -= 1
        outcome = self.model.back(request, unrun or request.safe)
        assert self.queue.release(entry, self.model.now, unrun).name == outcome
        if not unrun:
            self.ran.add(request)
        self.settle()

    def renews(self, request: Request) -> None:
        if request.state == "leased" and request.lease_end is not None:
            request.lease_end = self.model.now + self.model.settings.lease_ms
            expected = request.lease_end
        else:
            expected = 0
        assert self.queue.renew(self.entries[request], self.model.now) == expected

    # -- the clock

    def passes(self, ms: int) -> None:
        self.model.now += ms
        self.look()

    def passes_until_the_queue_wants_to_be_looked_at(self, late: int) -> None:
        due = self.queue.next_due_ms()
        if due:
            self.model.now = max(self.model.now, due) + late
            self.look()

    def look(self) -> None:
        expected = self.model.overdue()
        due = self.queue.due(self.model.now)
        assert {(entry.payload, why.name) for entry, why in due} == expected
        assert len(due) == len(expected)
        assert self.queue.pop_due(self.model.now) is None
        for entry, why in due:
            if why is Due.LEASE_LOST:
                assert isinstance(entry.payload, Request)
                self.lose(entry.payload)
        self.settle()

    # -- operators

    def pauses(self) -> None:
        self.queue.pause(self.model.now)
        if self.model.gate != "paused":
            self.model.gate, self.model.paused_at = "paused", self.model.now

    def resumes(self) -> None:
        self.queue.resume(self.model.now)
        self.model.open()
        self.settle()

    def stops(self) -> None:
        self.queue.stop("back at noon", self.model.now)
        self.model.open()
        self.model.gate = "closed"
        self.settle()

    def shares(self, weights: dict[str, float] | None) -> None:
        self.queue.weights = weights
        self.model.weights = weights
        self.model.credit.clear()
        self.settle()

    def retires(self, label: str) -> None:
        expected = [room for room in self.model.idle if room.label == label]
        assert self.queue.retire(label) == expected[::-1]
        if label not in self.model.labels:
            self.model.labels.append(label)
        self.model.retired.add(label)
        self.model.idle = [room for room in self.model.idle if room.label != label]

    def restores(self, label: str) -> None:
        self.queue.restore(label)
        self.model.retired.discard(label)

    # -- what is always so

    def check(self) -> None:
        """After each step."""
        self.it_is_as_the_model_says()
        self.nobody_is_lost()
        self.nobody_waits_beside_a_room()
        self.labels_add_up()
        self.an_id_names_the_lease_that_lives()
        self.the_next_look_is_not_too_late()

    def clear(self) -> None:
        """Ends it all: a queue owns what it has, unseen by the cycle collector."""
        for entry in self.queue.waiting() + self.queue.running():
            self.queue.forget(entry)
        for room in self.queue.rooms():
            self.queue.remove_room(room)
        assert (self.queue.queued, self.queue.queued_bytes, self.queue.leased, self.queue.idle) == (0, 0, 0, 0)

    def it_is_as_the_model_says(self) -> None:
        queue, model = self.queue, self.model
        assert queue.gate is Gate[model.gate.upper()]
        assert (queue.queued, queue.leased, queue.idle) == (len(model.waiting), len(model.leased), len(model.idle))
        assert queue.queued_bytes == sum(request.size for request in model.waiting)
        for how in ("answered", "abandoned", "queued_too_long", "past_deadline", "broken"):
            assert getattr(queue, how) == model.done.get(how, 0), how
        assert {entry.payload for entry in queue.running()} == set(model.leased)
        assert {entry.payload for entry in queue.waiting()} == set(model.waiting)
        assert set(queue.rooms()) == set(model.idle)
        for request, entry in self.entries.items():
            assert entry.state.name == request.state.upper()
            assert (entry.attempts, entry.begun) == (request.attempts, request.begun)

    def nobody_is_lost(self) -> None:
        queue = self.queue
        ended = queue.answered + queue.abandoned + queue.queued_too_long + queue.past_deadline + queue.broken
        assert queue.accepted == self.accepted == queue.queued + queue.leased + ended
        assert all((entry.fate is Fate.UNDECIDED) == (entry.state is not State.DONE) for entry in self.entries.values())

    def nobody_waits_beside_a_room(self) -> None:
        if self.queue.queued and self.queue.gate is not Gate.PAUSED:
            assert not [room for room in self.queue.rooms() if self.model.may(room.label)]

    def labels_add_up(self) -> None:
        labels = self.queue.all_labels()
        assert sum(label.idle for label in labels) == self.queue.idle
        assert sum(label.leased for label in labels) == self.queue.leased
        assert sum(label.given for label in labels) == self.queue.matched
        assert sum(label.answered for label in labels) == self.queue.answered

    def an_id_names_the_lease_that_lives(self) -> None:
        assert len(self.leases) == self.queue.leased
        for request, lease_id in self.lease_ids.items():
            found = self.leases.find(lease_id)
            assert (found is self.entries[request]) == (request.state == "leased")

    def the_next_look_is_not_too_late(self) -> None:
        due = self.queue.next_due_ms()
        ends = [request.since + self.model.settings.queue_ms + self.model.held for request in self.model.waiting]
        if self.model.gate == "paused":
            ends = [end + self.model.settings.pause_ms if end > self.model.paused_at else end for end in ends]
        for request in self.model.waiting + self.model.leased:
            if not request.begun:
                ends.append(-(-request.deadline_ms // TICK_MS) * TICK_MS)
                if request.lease_end is not None:
                    ends.append(-(-request.lease_end // TICK_MS) * TICK_MS)
        assert not ends or 0 < due <= min(ends)
