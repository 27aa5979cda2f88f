"""Leases by id: an id is good for one lease, and what became of it is known for a while."""

import os

import pytest

from drawbar.pull.entry import Entry, Fate, Room
from drawbar.pull.leases import Leases
from drawbar.pull.queue import AppQueue

NOW = 1_000


def serve(queue: AppQueue, leases: Leases) -> tuple[str, Entry]:
    """The lease that the next room gets."""
    queue.add_room(Room(timed=True))
    entry = queue.match(NOW)
    assert entry is not None
    return leases.open(entry), entry


def lease(queue: AppQueue, leases: Leases) -> tuple[str, Entry]:
    """One of a request that has just come."""
    queue.put(Entry(safe=True), 0, 0, NOW)
    return serve(queue, leases)


def test_a_lease_that_lives_leads_to_its_entry() -> None:
    leases = Leases()
    lease_id, entry = lease(AppQueue("app"), leases)
    assert leases.find(lease_id) is entry
    assert len(leases) == 1


def test_ids_of_requests_cannot_be_guessed() -> None:
    ids = {Entry().id for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)


def test_a_forked_process_draws_ids_of_its_own() -> None:
    # What the next id is made of may be there already.
    assert Entry().id
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, Entry().id.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        theirs = said.read().decode()
    os.waitpid(child, 0)
    assert len(theirs) == 32
    assert Entry().id != theirs


def test_who_lost_a_lease_is_told_while_another_worker_has_the_request() -> None:
    queue, leases = AppQueue("app"), Leases()
    first_id, entry = lease(queue, leases)
    queue.lose(entry, NOW)
    assert leases.find(first_id) is Fate.UNDECIDED
    second_id, again = serve(queue, leases)
    assert again is entry
    assert second_id != first_id
    assert second_id.startswith(entry.id)
    assert leases.find(second_id) is entry
    assert leases.find(first_id) is Fate.UNDECIDED


@pytest.mark.parametrize("unrun", [True, False])
def test_what_was_given_back_is_no_longer_the_workers(unrun: bool) -> None:
    queue, leases = AppQueue("app"), Leases()
    lease_id, entry = lease(queue, leases)
    queue.release(entry, NOW, unrun)
    assert leases.find(lease_id) is Fate.UNDECIDED
    assert serve(queue, leases)[0] != lease_id


def test_a_client_that_left_and_a_time_that_ran_out_are_told_apart() -> None:
    queue, leases = AppQueue("app", deadline_ms=1_000), Leases()
    gone_id, gone = lease(queue, leases)
    late_id, _ = lease(queue, leases)
    queue.forget(gone)
    queue.due(NOW + 1_000)
    assert leases.find(gone_id) is Fate.ABANDONED
    assert leases.find(late_id) is Fate.EXPIRED


def test_what_was_answered_made_up_or_never_leased_is_unknown() -> None:
    queue, leases = AppQueue("app"), Leases()
    lease_id, entry = lease(queue, leases)
    queue.finish(entry)
    assert leases.find(lease_id) is None
    assert leases.find("made up") is None
    assert leases.find(Entry().id) is None
    assert len(leases) == 0


def test_a_lease_outside_is_nothing_to_it() -> None:
    queue, leases = AppQueue("app"), Leases()
    lease_id, entry = lease(queue, leases)
    queue.lose(entry, NOW)
    queue.add_room(Room())
    assert queue.match(NOW) is entry
    queue.finish(entry)
    assert leases.find(lease_id) is Fate.UNDECIDED


def test_the_past_is_forgotten_in_order() -> None:
    queue, leases = AppQueue("app"), Leases(remembered=2)
    ids = []
    for _ in range(3):
        lease_id, entry = lease(queue, leases)
        queue.forget(entry)
        ids.append(lease_id)
    assert [leases.find(lease_id) for lease_id in ids] == [None, Fate.ABANDONED, Fate.ABANDONED]
