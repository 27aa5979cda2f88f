"""Which room gets the next request."""

from collections import Counter

import pytest

from drawbar.pull.entry import Entry, Room, RoomState
from drawbar.pull.labels import MOST_CREDIT, MOST_LABELS, Joined
from drawbar.pull.queue import AppQueue, Verdict

NOW = 1_000


def a_queue(*labels: str) -> tuple[AppQueue, list[Room]]:
    """With an idle room for each label, freed in that order."""
    queue = AppQueue("app", length=10_000)
    rooms = [Room(label) for label in labels]
    for room in rooms:
        assert queue.add_room(room) is Joined.JOINED
    return queue, rooms


def next_room(queue: AppQueue) -> Room:
    """The room that another request gets."""
    assert queue.put(Entry(), 0, 0, NOW) is Verdict.ACCEPTED
    entry = queue.match(NOW)
    assert entry is not None
    assert entry.room is not None
    return entry.room


def answer(queue: AppQueue, room: Room, *, failed: bool = False) -> None:
    """Its request is answered, and it is idle again."""
    assert room.entry is not None
    queue.finish(room.entry, failed)
    queue.add_room(room)


def shares(queue: AppQueue, count: int) -> Counter[str]:
    """Who gets so many requests, each answered before the next one comes."""
    got: Counter[str] = Counter()
    for _ in range(count):
        room = next_room(queue)
        got[room.label] += 1
        answer(queue, room)
    return got


def test_the_room_that_freed_up_last_goes_first_whatever_its_label() -> None:
    queue, (first, second, third) = a_queue("v7", "v8", "v7")
    assert next_room(queue) is third
    assert next_room(queue) is second
    answer(queue, third)
    assert next_room(queue) is third
    assert next_room(queue) is first


def test_with_shares_each_label_gets_its_own_and_evenly() -> None:
    queue, _ = a_queue("v7", "v8")
    queue.weights = {"v7": 0.9, "v8": 0.1}
    for _ in range(5):
        assert shares(queue, 10) == {"v7": 9, "v8": 1}


def test_shares_are_in_proportion_and_among_those_that_are_there() -> None:
    queue, _ = a_queue("v7", "v8")
    queue.weights = {"v7": 3, "v8": 1, "v9": 96}
    assert shares(queue, 400) == {"v7": 300, "v8": 100}


def test_a_label_without_a_share_gets_nothing_though_requests_wait() -> None:
    queue, _ = a_queue("v7", "v8")
    queue.weights = {"v7": 0.0, "v9": 1.0}
    queue.put(Entry(), 0, 0, NOW)
    assert queue.match(NOW) is None
    queue.weights = {"v7": 1.0}
    entry = queue.match(NOW)
    assert entry is not None
    assert entry.room is not None
    assert entry.room.label == "v7"


def test_nobody_waits_for_a_share_while_another_label_has_room() -> None:
    queue, (_, small) = a_queue("v7", "v8")
    queue.weights = {"v7": 0.9, "v8": 0.1}
    assert next_room(queue) is not small
    assert next_room(queue) is small


def test_what_a_busy_label_is_owed_is_bounded() -> None:
    queue, rooms = a_queue("v7", "v8", "v8")
    queue.weights = {"v7": 0.5, "v8": 0.5}
    # Its only room is busy for a thousand requests.
    busy = next(room for room in (next_room(queue), next_room(queue)) if room.label == "v7")
    for room in rooms[1:]:
        if room.state is RoomState.TAKEN:
            answer(queue, room)
    assert shares(queue, 1_000) == {"v8": 1_000}
    answer(queue, busy)
    caught_up = shares(queue, 100)["v7"] - 50
    assert 0 < caught_up <= MOST_CREDIT + 1
    assert shares(queue, 100) == {"v7": 50, "v8": 50}


def test_a_label_that_is_away_is_owed_nothing() -> None:
    queue, (_, comes_and_goes) = a_queue("v7", "v8")
    queue.weights = {"v7": 0.5, "v8": 0.5}
    queue.remove_room(comes_and_goes)
    assert shares(queue, 1_000) == {"v7": 1_000}
    queue.add_room(comes_and_goes)
    assert shares(queue, 100) == {"v7": 50, "v8": 50}


def test_new_shares_start_from_nothing() -> None:
    queue, _ = a_queue("v7", "v8")
    queue.weights = {"v7": 1.0, "v8": 0.001}
    shares(queue, 500)
    queue.weights = {"v7": 0.5, "v8": 0.5}
    assert [label.credit for label in queue.all_labels()] == [0.0, 0.0]
    assert shares(queue, 10) == {"v7": 5, "v8": 5}
    assert queue.weights == {"v7": 0.5, "v8": 0.5}


@pytest.mark.parametrize("weights", [{}, {"v7": 0}, {"v7": -1, "v8": 2}, {"v7": float("nan")}, {"v7": float("inf")}])
def test_weights_make_sense(weights: dict[str, float]) -> None:
    queue, _ = a_queue("v7")
    with pytest.raises(ValueError, match="weights are numbers from 0"):
        queue.weights = weights
    assert queue.weights is None


def test_a_retired_label_gives_its_idle_rooms_up_and_gets_no_new_ones() -> None:
    queue, (old, busy, new) = a_queue("v7", "v7", "v8")
    queue.remove_room(new)
    assert next_room(queue) is busy
    assert queue.retire("v7") == [old]
    assert old.state is RoomState.AWAY
    assert queue.idle == 0
    queue.put(Entry(), 0, 0, NOW)
    assert queue.match(NOW) is None
    # What it has, it finishes.
    assert busy.entry is not None
    assert queue.finish(busy.entry)
    assert queue.add_room(busy) is Joined.RETIRED
    assert queue.match(NOW) is None
    queue.restore("v7")
    queue.restore("never heard of")
    assert queue.add_room(busy) is Joined.JOINED
    assert queue.match(NOW) is not None


def test_a_label_may_be_retired_before_anybody_comes_with_it() -> None:
    queue, _ = a_queue("v8")
    queue.retire("v7")
    assert queue.add_room(Room("v7")) is Joined.RETIRED


def test_a_label_counts_what_becomes_of_its_leases() -> None:
    queue, (room,) = a_queue("v7")
    for failed in (False, True, False):
        assert next_room(queue) is room
        answer(queue, room, failed=failed)
    assert next_room(queue) is room
    assert room.entry is not None
    queue.lose(room.entry, NOW)
    label = queue.label("v7")
    assert label is not None
    assert (label.given, label.answered, label.failed, label.lost) == (4, 3, 1, 1)
    assert (label.idle, label.leased, label.retired, label.weight) == (0, 0, False, 0.0)
    assert queue.label("v8") is None


def test_a_worker_past_its_deadline_counts_as_lost() -> None:
    queue = AppQueue("app", deadline_ms=1_000)
    queue.add_room(Room("v7"))
    next_room(queue)
    queue.due(NOW + 1_000)
    label = queue.label("v7")
    assert label is not None
    assert (label.lost, label.leased) == (1, 0)


def test_labels_are_bounded_and_the_oldest_that_is_not_in_use_makes_room() -> None:
    queue, rooms = a_queue(*(f"v{number}" for number in range(MOST_LABELS)))
    assert queue.add_room(Room("one more")) is Joined.TOO_MANY_LABELS
    with pytest.raises(ValueError, match="at most 64 labels"):
        queue.retire("one more")
    taken = next_room(queue)
    assert queue.add_room(Room("one more")) is Joined.TOO_MANY_LABELS
    answer(queue, taken)
    queue.retire("v3")
    queue.remove_room(rooms[5])
    # Retired ones stay longer: their workers might still come back.
    assert queue.add_room(Room("one more")) is Joined.JOINED
    assert queue.label("v5") is None
    assert queue.label("v3") is not None
    assert queue.add_room(Room("another")) is Joined.JOINED
    assert queue.label("v3") is None
    assert queue.add_room(Room("and another")) is Joined.TOO_MANY_LABELS


def test_a_label_with_a_share_is_not_forgotten() -> None:
    queue = AppQueue("app")
    for number in range(MOST_LABELS):
        room = Room(f"v{number}")
        queue.add_room(room)
        queue.remove_room(room)
    queue.weights = {"v0": 1.0}
    assert queue.add_room(Room("one more")) is Joined.JOINED
    assert queue.label("v0") is not None
    assert queue.label("v1") is None
    with pytest.raises(ValueError, match="at most 64"):
        queue.weights = {str(number): 1.0 for number in range(MOST_LABELS + 1)}


def test_a_label_that_is_held_keeps_its_rooms_and_gets_nothing() -> None:
    queue, (old, new) = a_queue("v7", "v8")
    queue.held = ("v8", "v9")
    assert queue.held == {"v8", "v9"}
    late = Room("v9")
    assert queue.add_room(late) is Joined.JOINED
    assert (queue.idle, queue.eligible) == (3, 1)
    assert next_room(queue) is old
    queue.put(Entry(), 0, 0, NOW)
    assert queue.match(NOW) is None
    queue.held = ("v8",)
    entry = queue.match(NOW)
    assert entry is not None
    assert entry.room is late
    assert new.state is RoomState.IDLE


def test_a_label_that_is_held_has_no_share_either() -> None:
    queue, _ = a_queue("v7", "v8")
    queue.weights = {"v7": 1.0, "v8": 99.0}
    queue.held = ("v8",)
    assert shares(queue, 10) == {"v7": 10}


def test_the_last_outcomes_of_a_label_are_known_and_told() -> None:
    queue, (room,) = a_queue("v7")
    label = queue.label("v7")
    assert label is not None
    seen: list[tuple[int, int]] = []
    label.on_outcome = lambda: seen.append((label.answered + label.lost, label.recent))
    for failed in (True, False, False):
        next_room(queue)
        answer(queue, room, failed=failed)
    next_room(queue)
    assert room.entry is not None
    queue.lose(room.entry, NOW)
    assert seen == [(1, 0b1), (2, 0b10), (3, 0b100), (4, 0b1001)]


def test_a_request_that_is_given_back_or_left_alone_is_no_outcome() -> None:
    queue, (room,) = a_queue("v7")
    label = queue.label("v7")
    assert label is not None
    next_room(queue)
    assert room.entry is not None
    queue.release(room.entry, NOW)
    queue.add_room(room)
    entry = queue.match(NOW)
    assert entry is not None
    queue.forget(entry)
    assert (label.recent, label.answered, label.lost) == (0, 0, 0)
