"""The queue against the model, under whatever clients, workers, clocks and operators do in whatever order.

Hypothesis looks for the shortest way to a difference, in few steps. A walk is long and goes as real traffic does, so
that queues get deep, requests are lost again and again, and pauses end; its seed says where it goes.
"""

import random
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

from drawbar.pull.entry import Room
from drawbar.pull.queue import AppQueue
from tests.pull.model import TICK_MS, Request, Settings
from tests.pull.side_by_side import LABELS, SideBySide

SHARES: tuple[dict[str, float] | None, ...] = (
    None,
    {"v7": 0.9, "v8": 0.1},
    {"v7": 0.1, "v8": 0.2, "v9": 0.7},
    {"v8": 1.0, "v9": 0.0},
)
TO_REQUESTS = ("answers", "answers and stays", "fails", "begins", "untouched", "half done", "renews", "leaves")
TO_ROOMS = ("dies", "offers")
COUNTERS = (
    *("answered", "abandoned", "queued_too_long", "past_deadline", "broken", "lost", "released", "renewed"),
    *("refused_length", "refused_bytes", "refused_stopped"),
)
ORDERS = ("pauses", "resumes", "stops", "retires", "restores")


def to_request(both: SideBySide, request: Request, what: str) -> None:
    """One thing that a client or a worker may do about a request."""
    if what in ("answers", "answers and stays", "fails"):
        both.answers(request, failed=what == "fails", stays=what != "answers")
    elif what == "begins":
        both.begins_to_answer(request)
    elif what == "renews":
        both.renews(request)
    elif what == "leaves":
        both.leaves(request)
    else:
        both.gives_back(request, unrun=what == "untouched")


def order(both: SideBySide, what: str, label: str) -> None:
    """One thing that an operator may do."""
    if what in ("retires", "restores"):
        getattr(both, what)(label)
    else:
        getattr(both, what)()


class QueueMachine(RuleBasedStateMachine):
    """Clients, workers, a clock and an operator."""

    requests = Bundle("requests")
    rooms = Bundle("rooms")

    @initialize(
        target=requests,
        length=st.integers(0, 8),
        size=st.integers(0, 80),
        queue_ms=st.integers(100, 3_000),
        lease_ms=st.integers(100, 3_000),
        pause_ms=st.integers(0, 500),
        attempts=st.integers(1, 3),
    )
    def start(
        self, length: int, size: int, queue_ms: int, lease_ms: int, pause_ms: int, attempts: int
    ) -> MultipleResults[Request]:
        self.both = SideBySide(Settings(length, size, queue_ms, 2_000, lease_ms, pause_ms, attempts))
        return multiple()

    @rule(
        target=requests,
        sizes=st.lists(st.integers(0, 30), min_size=1, max_size=3),
        priority=st.sampled_from((0, 1, 1, 3)),
        safe=st.booleans(),
        age=st.integers(0, 900),
    )
    def arrive(self, sizes: list[int], priority: int, safe: bool, age: int) -> MultipleResults[Request]:
        arrived = [self.both.arrives(size, priority, safe, age) for size in sizes]
        return multiple(*[request for request in arrived if request is not None])

    @rule(target=rooms, label=st.sampled_from(LABELS), timed=st.booleans())
    def offers(self, label: str, timed: bool) -> Room:
        return self.both.offers(label, timed)

    @rule(request=requests, what=st.sampled_from(TO_REQUESTS))
    def to_request(self, request: Request, what: str) -> None:
        to_request(self.both, request, what)

    @rule(room=rooms, what=st.sampled_from(TO_ROOMS))
    def to_room(self, room: Room, what: str) -> None:
        if what == "dies":
            self.both.dies(room)
        else:
            self.both.offers_again(room)

    @rule(ms=st.integers(0, 1_500))
    def passes(self, ms: int) -> None:
        self.both.passes(ms)

    @rule(late=st.integers(0, TICK_MS))
    def passes_until_the_queue_wants_to_be_looked_at(self, late: int) -> None:
        self.both.passes_until_the_queue_wants_to_be_looked_at(late)

    @rule(what=st.sampled_from(ORDERS), label=st.sampled_from(LABELS))
    def orders(self, what: str, label: str) -> None:
        order(self.both, what, label)

    @rule(weights=st.sampled_from(SHARES))
    def shares(self, weights: dict[str, float] | None) -> None:
        self.both.shares(weights)

    @invariant()
    def both_are_the_same(self) -> None:
        self.both.check()

    def teardown(self) -> None:
        if hasattr(self, "both"):
            self.both.clear()


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=150, stateful_step_count=50, deadline=None, derandomize=True)


def some_settings(chance: random.Random) -> Settings:
    """Of a small, busy app."""
    return Settings(
        length=chance.choice((0, 3, 10, 30)),
        bytes=chance.choice((50, 300, 1_000)),
        queue_ms=chance.choice((300, 1_000)),
        deadline_ms=chance.choice((1_500, 3_000)),
        lease_ms=chance.choice((400, 1_000)),
        pause_ms=chance.choice((0, 200, 2_000)),
        attempts=chance.choice((1, 2, 3)),
    )


def step(both: SideBySide, chance: random.Random, rooms: list[Room]) -> None:
    """What happens next: mostly traffic, now and then trouble."""
    kind = chance.choices(("arrives", "works", "room", "time", "order"), (28, 30, 22, 16, 4))[0]
    if kind == "arrives":
        both.arrives(chance.randrange(30), chance.choice((0, 1, 1, 3)), chance.random() < 0.8, chance.randrange(900))
    elif kind == "works":
        under_way = both.model.leased or both.model.waiting
        if under_way:
            to_request(both, chance.choice(under_way), chance.choices(TO_REQUESTS, (2, 9, 2, 2, 2, 2, 2, 2))[0])
    elif kind == "room":
        if len(rooms) < 6:
            rooms.append(both.offers(chance.choice(LABELS), chance.random() < 0.5))
        elif chance.random() < 0.3:
            both.dies(rooms.pop(chance.randrange(len(rooms))))
        else:
            both.offers_again(chance.choice(rooms))
    elif kind == "time":
        if chance.random() < 0.3:
            both.passes_until_the_queue_wants_to_be_looked_at(chance.randrange(TICK_MS))
        else:
            both.passes(chance.randrange(80))
    elif chance.random() < 0.3:
        both.shares(chance.choice(SHARES))
    else:
        # What is closed is opened again before long.
        order(both, chance.choices(ORDERS, (2, 8, 1, 1, 6))[0], chance.choice(LABELS))


def walk(seed: int) -> AppQueue:
    """One site's day."""
    chance = random.Random(seed)
    both = SideBySide(some_settings(chance))
    rooms: list[Room] = []
    for _ in range(600):
        step(both, chance, rooms)
        both.check()
    both.clear()
    return both.queue


def test_walks_with_everything_in_them() -> None:
    met: Counter[str] = Counter()
    for seed in range(40):
        print(f"seed {seed}")
        queue = walk(seed)
        met.update({what: getattr(queue, what) for what in COUNTERS})
    assert {what for what in COUNTERS if met[what] < 100} == set(), met
