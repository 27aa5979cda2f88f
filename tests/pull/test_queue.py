"""Each rule of the queue by itself; the state machine beside this file has them meet."""

import sys

import pytest

from drawbar.pull.entry import PRIORITY_CLASSES, Due, Entry, Fate, Room, RoomState, State
from drawbar.pull.labels import Joined
from drawbar.pull.queue import AppQueue, Back, Gate, Verdict

NOW = 5_000_000
TICK_MS = 50


def put(queue: AppQueue, *, safe: bool = True, size: int = 0, priority: int = 0, now: int = NOW) -> Entry:
    """One that is accepted."""
    entry = Entry(safe=safe)
    assert queue.put(entry, size, priority, now) is Verdict.ACCEPTED
    return entry


def serve(queue: AppQueue, now: int = NOW, *, label: str = "", timed: bool = False) -> Entry:
    """What the next room gets."""
    assert queue.add_room(Room(label, timed=timed)) is Joined.JOINED
    entry = queue.match(now)
    assert entry is not None
    return entry


def leased(queue: AppQueue, *, safe: bool = True, timed: bool = False) -> Entry:
    """One on lease."""
    entry = put(queue, safe=safe)
    assert serve(queue, timed=timed) is entry
    return entry


# -- order


def test_first_come_first_served_within_a_class_and_lower_classes_first() -> None:
    queue = AppQueue("app")
    arrived = [(priority, put(queue, priority=priority)) for priority in (3, 1, 0, 1, 2, 0, 3)]
    expected = [entry for priority in range(PRIORITY_CLASSES) for at, entry in arrived if at == priority]
    assert [serve(queue) for _ in arrived] == expected


def test_what_comes_back_goes_to_the_head_of_its_class_only() -> None:
    queue = AppQueue("app")
    lost = put(queue, priority=1)
    assert serve(queue) is lost
    first, second = put(queue, priority=0), put(queue, priority=1)
    assert queue.lose(lost, NOW) is Back.AGAIN
    assert [serve(queue) for _ in range(3)] == [first, lost, second]


def test_a_room_gets_nothing_that_is_not_there_and_is_not_used_up_by_asking() -> None:
    queue = AppQueue("app")
    room = Room()
    queue.add_room(room)
    assert queue.match(NOW) is None
    assert room.state is RoomState.IDLE
    entry = put(queue)
    assert queue.match(NOW) is entry
    assert entry.room is room
    assert queue.match(NOW) is None


def test_a_room_that_left_gets_nothing() -> None:
    queue = AppQueue("app")
    room = Room()
    queue.add_room(room)
    queue.remove_room(room)
    queue.remove_room(room)
    put(queue)
    assert queue.match(NOW) is None
    assert room.state is RoomState.AWAY


def test_a_room_is_offered_once_and_not_while_it_has_a_request() -> None:
    queue = AppQueue("app")
    room = Room()
    queue.add_room(room)
    with pytest.raises(ValueError, match="idle already"):
        queue.add_room(room)
    entry = put(queue)
    assert queue.match(NOW) is entry
    with pytest.raises(ValueError, match="has a request"):
        queue.add_room(room)
    queue.finish(entry)
    assert queue.add_room(room) is Joined.JOINED


def test_a_lane_says_how_a_room_gets_its_request() -> None:
    with pytest.raises(NotImplementedError):
        Room().deliver(Entry())


# -- bounds


def test_more_than_may_wait_are_refused_and_counted() -> None:
    queue = AppQueue("app", length=2)
    put(queue)
    put(queue)
    refused = Entry()
    assert queue.put(refused, 0, 0, NOW) is Verdict.FULL_LENGTH
    assert (queue.queued, queue.accepted, queue.refused_length) == (2, 2, 1)
    assert refused.state is State.NEW
    serve(queue)
    assert queue.put(refused, 0, 0, NOW) is Verdict.ACCEPTED


def test_more_bytes_than_may_wait_are_refused_and_a_smaller_one_is_not() -> None:
    queue = AppQueue("app", bytes=100)
    put(queue, size=60)
    assert queue.put(Entry(), 41, 0, NOW) is Verdict.FULL_BYTES
    assert queue.put(Entry(), 2**64 - 1, 0, NOW) is Verdict.FULL_BYTES
    put(queue, size=40)
    assert (queue.queued_bytes, queue.refused_bytes) == (100, 2)
    serve(queue)
    assert queue.queued_bytes == 40


def test_bounds_are_for_those_who_wait_and_not_for_who_finds_a_room() -> None:
    queue = AppQueue("app", length=0, bytes=0)
    assert queue.put(Entry(), 1, 0, NOW) is Verdict.FULL_LENGTH
    queue.add_room(Room())
    entry = put(queue, size=1)
    assert queue.put(Entry(), 1, 0, NOW) is Verdict.FULL_LENGTH
    assert queue.match(NOW) is entry
    assert queue.put(Entry(), 0, 0, NOW) is Verdict.FULL_LENGTH


def test_a_room_that_may_get_nothing_gets_nobody_past_the_bounds() -> None:
    queue = AppQueue("app", length=0)
    queue.add_room(Room("v7"))
    queue.weights = {"v8": 1.0}
    assert queue.put(Entry(), 0, 0, NOW) is Verdict.FULL_LENGTH
    queue.weights = None
    queue.pause(NOW)
    assert queue.put(Entry(), 0, 0, NOW) is Verdict.FULL_LENGTH
    queue.resume(NOW)
    put(queue)


def test_what_comes_back_was_accepted_once_and_passes_the_bounds() -> None:
    queue = AppQueue("app", length=1)
    back = leased(queue)
    put(queue)
    assert queue.lose(back, NOW) is Back.AGAIN
    assert queue.queued == 2


def test_an_entry_is_put_once_and_in_a_class_there_is() -> None:
    queue = AppQueue("app")
    entry = put(queue)
    with pytest.raises(ValueError, match="put once"):
        queue.put(entry, 0, 0, NOW)
    for priority in (-1, PRIORITY_CLASSES):
        with pytest.raises(ValueError, match="0 to 3"):
            queue.put(Entry(), 0, priority, NOW)
    with pytest.raises(ValueError, match="one attempt"):
        AppQueue("app", attempts=0)


# -- what may run again


@pytest.mark.parametrize(
    ("safe", "begun", "outcome"),
    [(True, False, Back.AGAIN), (True, True, Back.BROKEN), (False, False, Back.BROKEN), (False, True, Back.BROKEN)],
)
def test_lost_ones_run_again_if_safe_and_nothing_of_the_response_is_out(safe: bool, begun: bool, outcome: Back) -> None:
    queue = AppQueue("app")
    entry = leased(queue, safe=safe)
    if begun:
        assert queue.begin(entry)
    assert queue.lose(entry, NOW) is outcome
    assert entry.state is (State.QUEUED if outcome is Back.AGAIN else State.DONE)
    assert entry.fate is (Fate.UNDECIDED if outcome is Back.AGAIN else Fate.FAILED)
    assert (queue.lost, queue.broken) == (1, outcome is Back.BROKEN)


def test_attempts_are_bounded() -> None:
    queue = AppQueue("app", attempts=3)
    entry = put(queue)
    for attempt in (1, 2):
        assert serve(queue) is entry
        assert entry.attempts == attempt
        assert queue.lose(entry, NOW) is Back.AGAIN
    assert serve(queue) is entry
    assert queue.lose(entry, NOW) is Back.BROKEN


def test_given_back_untouched_it_need_not_be_safe_and_the_attempt_does_not_count() -> None:
    queue = AppQueue("app", attempts=1)
    entry = put(queue, safe=False)
    for _ in range(3):
        assert serve(queue) is entry
        assert entry.attempts == 1
        assert queue.release(entry, NOW) is Back.AGAIN
        assert entry.attempts == 0
        assert entry.room is None
    assert (queue.released, queue.lost) == (3, 0)


@pytest.mark.parametrize(("safe", "outcome"), [(True, Back.AGAIN), (False, Back.BROKEN)])
def test_given_back_half_done_it_has_to_be_safe(safe: bool, outcome: Back) -> None:
    queue = AppQueue("app")
    assert queue.release(leased(queue, safe=safe), NOW, unrun=False) is outcome


def test_who_began_to_answer_cannot_give_back() -> None:
    queue = AppQueue("app")
    entry = leased(queue)
    queue.begin(entry)
    assert queue.release(entry, NOW) is Back.BROKEN


def test_what_has_ended_cannot_end_again() -> None:
    queue = AppQueue("app")
    entry = leased(queue)
    assert queue.finish(entry)
    assert not queue.finish(entry)
    assert not queue.begin(entry)
    assert queue.lose(entry, NOW) is Back.NOT_LEASED
    assert queue.release(entry, NOW) is Back.NOT_LEASED
    assert queue.renew(entry, NOW) == 0
    assert queue.forget(entry) is None
    assert (queue.answered, queue.lost, queue.released, queue.abandoned) == (1, 0, 0, 0)


def test_whoever_had_it_last_is_still_said_when_it_is_done() -> None:
    queue = AppQueue("app")
    entry = leased(queue)
    room = entry.room
    queue.finish(entry)
    assert room is not None
    assert entry.room is room
    assert room.entry is None


# -- clients that leave


def test_a_client_that_leaves_while_it_waits_is_seen_by_no_worker() -> None:
    queue = AppQueue("app")
    gone, stays = put(queue, size=7), put(queue)
    assert queue.forget(gone) is None
    assert (gone.state, gone.fate, queue.queued, queue.queued_bytes) == (State.DONE, Fate.ABANDONED, 1, 0)
    assert serve(queue) is stays


def test_a_client_that_leaves_while_it_is_served_has_its_worker_told() -> None:
    queue = AppQueue("app")
    entry = leased(queue)
    assert queue.forget(entry) is entry.room
    assert (queue.leased, queue.abandoned) == (0, 1)


# -- clocks


def test_waiting_too_long_ends_to_the_millisecond_and_longest_first() -> None:
    queue = AppQueue("app", queue_ms=1_000, deadline_ms=0)
    first, second = put(queue, priority=3), put(queue, priority=0, now=NOW + 10)
    assert queue.oldest_ms(NOW + 500) == 500
    assert queue.next_due_ms() == NOW + 1_000
    assert queue.due(NOW + 999) == []
    assert queue.due(NOW + 1_009) == [(first, Due.QUEUED_TOO_LONG)]
    assert queue.oldest_ms(NOW + 1_009) == 999
    assert queue.due(NOW + 1_010) == [(second, Due.QUEUED_TOO_LONG)]
    assert (queue.queued_too_long, first.fate, queue.next_due_ms()) == (2, Fate.EXPIRED, 0)


def test_each_wait_is_measured_by_itself_and_the_deadline_bounds_them_all() -> None:
    queue = AppQueue("app", queue_ms=1_000, deadline_ms=1_800, attempts=9)
    entry = put(queue)
    assert queue.due(NOW + 900) == []
    assert serve(queue, NOW + 900) is entry
    queue.lose(entry, NOW + 950)
    assert queue.due(NOW + 1_750) == []
    assert queue.due(NOW + 1_800) == [(entry, Due.PAST_DEADLINE)]


@pytest.mark.parametrize("state", [State.QUEUED, State.LEASED])
def test_the_deadline_runs_from_accept_whoever_has_the_request(state: State) -> None:
    queue = AppQueue("app", queue_ms=0, deadline_ms=60_000)
    entry = Entry()
    entry.accepted_ms = NOW - 20_000
    queue.put(entry, 0, 0, NOW)
    if state is State.LEASED:
        assert serve(queue) is entry
    assert queue.due(NOW + 40_000 - 1) == []
    assert queue.due(NOW + 40_000) == [(entry, Due.PAST_DEADLINE)]
    assert (entry.state, entry.fate, queue.leased, queue.queued) == (State.DONE, Fate.EXPIRED, 0, 0)
    # Whose worker has to be told.
    assert (entry.room is not None) == (state is State.LEASED)


def test_a_request_may_have_a_deadline_of_its_own() -> None:
    queue = AppQueue("app", deadline_ms=60_000)
    entry = Entry()
    entry.deadline_ms = NOW + 500
    queue.put(entry, 0, 0, NOW)
    assert queue.due(NOW + 500) == [(entry, Due.PAST_DEADLINE)]


def test_one_that_comes_past_its_deadline_goes_at_the_next_tick() -> None:
    queue = AppQueue("app")
    queue.due(NOW)
    entry = Entry()
    entry.accepted_ms = NOW - 3_600_000
    queue.put(entry, 0, 0, NOW)
    assert queue.due(NOW + TICK_MS) == [(entry, Due.PAST_DEADLINE)]


def test_a_timed_lease_ends_at_the_first_tick_after_its_time_and_can_be_renewed() -> None:
    queue = AppQueue("app", lease_ms=1_010)
    entry = leased(queue, timed=True)
    assert entry.lease_end_ms == NOW + 1_010
    assert queue.renew(entry, NOW + 1_000) == NOW + 2_010
    assert queue.due(NOW + 2_010) == []
    assert queue.due(NOW + 2_050) == [(entry, Due.LEASE_LOST)]
    assert entry.state is State.LEASED
    assert queue.lose(entry, NOW + 2_050) is Back.AGAIN
    assert queue.renewed == 1


def test_the_end_of_a_former_lease_is_nothing_to_one_that_waits_again() -> None:
    queue = AppQueue("app", lease_ms=1_000, queue_ms=0)
    entry = leased(queue, timed=True)
    queue.lose(entry, NOW + 500)
    assert entry.lease_end_ms == 0
    assert queue.due(NOW + 1_000) == []
    assert serve(queue, NOW + 1_100) is entry
    assert queue.due(NOW + 5_000) == []


def test_a_lease_that_nobody_gave_up_still_has_its_deadline() -> None:
    queue = AppQueue("app", lease_ms=1_000, deadline_ms=2_000)
    entry = leased(queue, timed=True)
    assert queue.due(NOW + 1_000) == [(entry, Due.LEASE_LOST)]
    assert queue.renew(entry, NOW + 1_000) == 0
    assert queue.due(NOW + 2_000) == [(entry, Due.PAST_DEADLINE)]


def test_a_lease_that_is_a_connection_has_no_end_by_the_clock() -> None:
    queue = AppQueue("app", lease_ms=1_000, deadline_ms=0)
    entry = leased(queue)
    assert (entry.lease_end_ms, queue.renew(entry, NOW), queue.next_due_ms()) == (0, 0, 0)
    assert queue.due(NOW + 3_600_000) == []


def test_once_a_response_has_begun_no_clock_ends_it() -> None:
    queue = AppQueue("app", lease_ms=1_000, deadline_ms=2_000)
    entry = leased(queue, timed=True)
    assert queue.begin(entry)
    assert queue.due(NOW + 3_600_000) == []
    assert queue.finish(entry)


def test_what_is_due_can_be_taken_in_portions() -> None:
    queue = AppQueue("app", queue_ms=100)
    entries = [put(queue) for _ in range(5)]
    assert [entry for entry, _ in queue.due(NOW + 100, 2)] == entries[:2]
    assert queue.next_due_ms() <= NOW + 100
    assert [entry for entry, _ in queue.due(NOW + 100)] == entries[2:]


def test_a_queue_left_alone_for_days_looks_up_no_past() -> None:
    queue = AppQueue("app", deadline_ms=10_000)
    queue.due(NOW)
    later = NOW + 10 * 86_400_000
    entry = put(queue, now=later)
    assert later < queue.next_due_ms() <= later + 10_000
    assert queue.due(later + 10_000) == [(entry, Due.PAST_DEADLINE)]


# -- the operator


def test_a_pause_holds_requests_and_the_clock_of_waits_for_its_time() -> None:
    queue = AppQueue("app", queue_ms=1_000, deadline_ms=0, pause_ms=5_000)
    early = put(queue, now=NOW - 400)
    queue.pause(NOW)
    queue.pause(NOW + 1_000)
    queue.add_room(Room())
    assert queue.gate is Gate.PAUSED
    assert queue.match(NOW) is None
    late = put(queue, now=NOW + 2_000)
    assert queue.due(NOW + 5_599) == []
    assert queue.next_due_ms() == NOW + 5_600
    assert queue.due(NOW + 5_600) == [(early, Due.QUEUED_TOO_LONG)]
    # It did not wait before the pause, whose clock stood still until 5,000.
    assert queue.due(NOW + 5_999) == []
    queue.resume(NOW + 5_999)
    assert queue.match(NOW + 5_999) is late


def test_a_pause_that_is_over_is_not_counted() -> None:
    queue = AppQueue("app", queue_ms=1_000, deadline_ms=0, pause_ms=5_000)
    entry = put(queue)
    queue.pause(NOW + 100)
    queue.resume(NOW + 400)
    assert queue.due(NOW + 1_299) == []
    assert queue.next_due_ms() == NOW + 1_300
    assert queue.due(NOW + 1_300) == [(entry, Due.QUEUED_TOO_LONG)]


def test_a_stop_refuses_with_a_message_and_serves_those_who_wait() -> None:
    queue = AppQueue("app")
    waits = put(queue)
    queue.pause(NOW)
    queue.stop("back at noon", NOW)
    assert (queue.gate, queue.message) == (Gate.CLOSED, "back at noon")
    queue.add_room(Room())
    assert queue.put(Entry(), 0, 0, NOW) is Verdict.STOPPED
    assert queue.match(NOW) is waits
    queue.lose(waits, NOW)
    assert queue.queued == 1
    queue.resume(NOW)
    assert (queue.gate, queue.message, queue.refused_stopped) == (Gate.OPEN, "", 1)
    put(queue)


# -- size


def test_ten_thousand_wait_in_order_and_leave_from_anywhere() -> None:
    queue = AppQueue("app", length=10_000, queue_ms=30_000, deadline_ms=60_000)
    entries = [put(queue, priority=number % 2, size=1, now=NOW + number) for number in range(10_000)]
    assert queue.put(Entry(), 1, 0, NOW + 10_000) is Verdict.FULL_LENGTH
    for entry in entries[::3]:
        assert queue.forget(entry) is None
    left = [entry for number, entry in enumerate(entries) if number % 3]
    assert queue.waiting(20_000) == left
    assert queue.waiting(5) == left[:5]
    assert queue.queued_bytes == len(left)
    expected = sorted(left, key=lambda entry: entry.priority)
    served = [serve(queue, NOW + 10_000) for _ in left[:3_000]]
    assert served == expected[:3_000]
    assert queue.running(20_000) == served
    assert {entry for entry, _ in queue.due(NOW + 80_000)} == set(left)
    assert (queue.queued, queue.leased, queue.queued_bytes, queue.next_due_ms()) == (0, 0, 0, 0)


def test_a_queue_keeps_nothing_that_is_done() -> None:
    queue = AppQueue("app", queue_ms=100)
    rooms = [Room() for _ in range(3)]
    for room in rooms:
        queue.add_room(room)
    served, gone, late, fresh = put(queue), put(queue), put(queue), Entry()
    for entry in (served, gone, late):
        assert queue.match(NOW) is entry
    queue.finish(served)
    queue.forget(gone)
    queue.lose(late, NOW)
    assert queue.due(NOW + 100) == [(late, Due.QUEUED_TOO_LONG)]
    del entry
    assert len({sys.getrefcount(each) for each in (served, gone, late, fresh)}) == 1


def test_a_queue_keeps_no_room_that_left() -> None:
    queue = AppQueue("app")
    room, fresh = Room(), Room()
    queue.add_room(room)
    assert sys.getrefcount(room) == sys.getrefcount(fresh) + 1
    queue.remove_room(room)
    assert sys.getrefcount(room) == sys.getrefcount(fresh)


def test_a_waiting_request_is_small() -> None:
    # Of the 2 KB that one may take besides its own bytes, the rest is for its exchange.
    assert sys.getsizeof(Entry()) <= 320
