"""The reactor: sources, turns, deadlines, accepting and its limits."""

import errno
import gc
import os
import socket
import threading
from collections.abc import Iterator
from typing import Literal

import pytest

from drawbar.net.inspect import Probe, ProbeConnector, connections, is_exclusive, set_room
from drawbar.net.listener import adopt, listen, serve_for
from drawbar.net.reactor import Reactor
from tests.support.descriptors import descriptors, next_descriptor
from tests.support.inprocess import Stepped
from tests.support.server import PATIENCE_S


class Listening(Stepped):
    """A reactor with a listener whose connections note what happens to them."""

    def __init__(
        self, limit: int = 100, address: str = "127.0.0.1", *, backlog: int = 100, shared: bool = True
    ) -> None:
        super().__init__(limit)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, 0), family=family, backlog=backlog)
        self.socket.setblocking(False)
        self.connector = ProbeConnector()
        listen(self.reactor, self.socket, self.connector, exclusive=shared)
        self.clients: list[socket.socket] = []

    @property
    def made(self) -> list[Probe]:
        """The connections accepted so far."""
        return self.connector.made

    def connect(self) -> socket.socket:
        """A client's socket; whether it is accepted is the reactor's business."""
        client = socket.create_connection(self.socket.getsockname()[:2], timeout=PATIENCE_S)
        self.clients.append(client)
        self.settle()
        return client

    def close(self) -> None:
        super().close()
        self.socket.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def site() -> Iterator[Listening]:
    with Listening() as listening:
        yield listening


def test_bytes_reach_the_connection_they_were_sent_to(site: Listening) -> None:
    first, second = site.connect(), site.connect()
    second.sendall(b"to the second")
    first.sendall(b"to the first")
    site.settle()
    assert [probe.seen for probe in site.made] == [[b"to the first"], [b"to the second"]]


def test_a_connection_knows_its_peer(site: Listening) -> None:
    client = site.connect()
    assert connections(site.reactor)[0].peer == client.getsockname()


def test_an_ipv4_client_of_a_dual_stack_listener_is_an_ipv4_client() -> None:
    with Stepped() as stepped:
        listener = socket.socket(socket.AF_INET6)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        listener.listen()
        listener.setblocking(False)
        listen(stepped.reactor, listener, ProbeConnector())
        with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])) as client:
            stepped.settle()
            assert connections(stepped.reactor)[0].peer == client.getsockname()


def test_an_end_of_stream_and_a_reset_are_told_apart(site: Listening) -> None:
    polite, rude = site.connect(), site.connect()
    polite.close()
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    rude.close()
    site.settle()
    assert [probe.seen for probe in site.made] == [["end"], ["broken"]]
    assert site.reactor.connections == 0


def test_a_closed_connection_is_let_go(site: Listening) -> None:
    site.connect().close()
    site.settle()
    view = site.made[0].view()
    assert view.closed
    # Of other tests.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    site.made.clear()
    del view
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before, "its descriptor was closed with it, not with its object"


# -- deadlines


def test_a_deadline_fires_when_its_time_has_come_and_once(site: Listening) -> None:
    site.connect()
    probe = site.made[0]
    probe.timeout_in(1000)
    site.advance(0.9)
    assert probe.seen == []
    site.advance(0.2)
    assert probe.seen == ["timeout"]
    site.advance(100)
    assert probe.seen == ["timeout"]


def test_a_deadline_set_anew_or_to_never_replaces_the_last(site: Listening) -> None:
    site.connect()
    probe = site.made[0]
    probe.timeout_in(1000)
    probe.timeout_in(5000)
    site.advance(4)
    assert probe.seen == []
    probe.timeout_in(0)
    site.advance(100)
    assert probe.seen == []


def test_a_deadline_counts_from_when_it_is_set_and_not_from_the_turns_start(site: Listening) -> None:
    site.connect()
    probe = site.made[0]
    # The clock moves on while an application runs, within one turn.
    site.reactor.advance(60_000)
    probe.timeout_in(1000)
    site.advance(0.5)
    assert probe.seen == []
    site.advance(0.6)
    assert probe.seen == ["timeout"]


def test_a_connection_that_closes_takes_its_deadline_along(site: Listening) -> None:
    site.connect()
    probe = site.made[0]
    probe.timeout_in(1000)
    probe.end()
    assert not probe.view().has_timer
    site.advance(10)
    assert probe.seen == []


def test_the_time_to_sleep_is_the_time_to_the_next_deadline(site: Listening) -> None:
    assert site.reactor.next_timeout_ms() == -1
    site.connect()
    site.made[0].timeout_in(3000)
    assert 2900 <= site.reactor.next_timeout_ms() <= 3100


# -- accepting


def test_room_for_a_connection_does_not_end_a_pause() -> None:
    with Listening(limit=1) as site:
        site.connect()
        site.reactor.pause()
        waiting = site.connect()
        site.made[0].end()
        site.settle()
        assert site.reactor.connections == 0
        assert len(site.made) == 1
        site.reactor.resume()
        site.settle()
        waiting.sendall(b"in at last")
        site.settle()
        assert [probe.seen for probe in site.made] == [[], [b"in at last"]]


def test_the_end_of_a_pause_makes_no_room_for_a_connection() -> None:
    with Listening(limit=1) as site:
        site.connect()
        site.reactor.pause()
        site.connect()
        site.reactor.resume()
        site.settle()
        assert site.reactor.connections == len(site.made) == 1
        site.made[0].end()
        site.settle()
        assert len(site.made) == 2


def test_at_its_limit_a_reactor_stops_accepting_until_a_connection_closes() -> None:
    with Listening(limit=2) as site:
        first, _, third = site.connect(), site.connect(), site.connect()
        third.sendall(b"waiting")
        site.settle()
        assert site.reactor.connections == 2
        assert len(site.made) == 2
        first.close()
        site.settle()
        assert site.reactor.connections == 2
        assert site.made[2].seen == [b"waiting"]


def test_pausing_and_resuming_twice_is_like_once(site: Listening) -> None:
    site.reactor.pause()
    site.reactor.pause()
    client = site.connect()
    assert site.made == []
    site.reactor.resume()
    site.reactor.resume()
    site.settle()
    assert len(site.made) == 1
    client.sendall(b"heard")
    site.settle()
    assert site.made[0].seen == [b"heard"]


# -- sharing a socket with other processes


def queue(site: Listening, count: int) -> None:
    """Connections the kernel holds: the reactor takes no turn meanwhile."""
    for _ in range(count):
        site.clients.append(socket.create_connection(site.socket.getsockname()[:2], timeout=PATIENCE_S))


def test_of_a_shared_socket_one_connection_is_taken_a_turn(site: Listening) -> None:
    queue(site, 3)
    counts = []
    for _ in range(4):
        site.turn()
        counts.append(len(site.made))
    assert counts == [1, 2, 3, 3]


def test_of_a_socket_of_its_own_all_are_taken_at_once() -> None:
    with Listening(shared=False) as site:
        queue(site, 3)
        site.turn()
        assert len(site.made) == 3


def take(site: Listening) -> None:
    """As another process would."""
    other, _ = site.socket.accept()
    other.close()


def test_a_crowded_process_leaves_connections_to_others(site: Listening) -> None:
    set_room(site.reactor, "none")
    site.connect()
    site.advance(3600)
    assert site.made == []
    take(site)
    site.connect()
    set_room(site.reactor, "ample")
    site.settle()
    assert len(site.made) == 1


def test_a_connection_that_nobody_comes_for_is_taken_where_room_would_not_come(site: Listening) -> None:
    set_room(site.reactor, "queued")
    queue(site, 2)
    for _ in range(4):
        site.advance(0.01)
    assert len(site.made) == 2


def test_a_connection_that_somebody_else_takes_does_not_count_as_one_that_waits(site: Listening) -> None:
    set_room(site.reactor, "queued")
    site.settle()
    for _ in range(3):
        site.reactor.advance(10)
        queue(site, 1)
        site.turn()
        take(site)
        site.reactor.advance(10)
        site.turn()
    assert site.made == []


def test_the_leader_wakes_to_look_at_what_it_left_only_where_it_has_to(site: Listening) -> None:
    set_room(site.reactor, "none")
    site.settle()
    assert site.reactor.next_timeout_ms() == -1
    set_room(site.reactor, "queued")
    assert 0 <= site.reactor.next_timeout_ms() <= 10
    site.reactor.pause()
    assert site.reactor.next_timeout_ms() == -1


def test_coming_and_going_room_does_not_put_off_the_look(site: Listening) -> None:
    site.settle()
    queue(site, 1)
    for _ in range(4):
        set_room(site.reactor, "ample")
        set_room(site.reactor, "queued")
        site.reactor.advance(5)
        site.turn()
    assert len(site.made) == 1


def test_a_look_goes_by_the_limit_and_the_pause(site: Listening) -> None:
    with Listening(limit=1) as full:
        full.connect()
        for each in (full, site):
            set_room(each.reactor, "queued")
            queue(each, 1)
        site.reactor.pause()
        for each in (full, site):
            each.advance(1)
            each.advance(1)
        assert (len(full.made), len(site.made)) == (1, 0)


@pytest.mark.parametrize("room", ["none", "queued"])
def test_alone_a_crowded_process_accepts(room: Literal["none", "queued"]) -> None:
    with Listening(shared=False) as site:
        set_room(site.reactor, room)
        site.connect()
        assert len(site.made) == 1
        assert site.reactor.next_timeout_ms() == -1


def test_a_process_whose_threads_are_in_calls_is_not_woken_in_the_place_of_others(site: Listening) -> None:
    assert is_exclusive(site.reactor) == [True]
    set_room(site.reactor, "some")
    assert is_exclusive(site.reactor) == [False]
    site.connect()
    assert len(site.made) == 1
    assert is_exclusive(site.reactor) == [False]
    set_room(site.reactor, "none")
    assert is_exclusive(site.reactor) == []
    set_room(site.reactor, "ample")
    assert is_exclusive(site.reactor) == [True]
    site.connect()
    assert len(site.made) == 2


def test_room_for_calls_ends_neither_a_pause_nor_the_limit() -> None:
    with Listening(limit=1) as site:
        site.connect()
        set_room(site.reactor, "none")
        set_room(site.reactor, "ample")
        site.connect()
        assert len(site.made) == 1
        site.clients[0].close()
        site.settle()
        assert len(site.made) == 2
    with Listening() as site:
        site.reactor.pause()
        set_room(site.reactor, "none")
        set_room(site.reactor, "ample")
        site.connect()
        assert site.made == []


def test_the_end_of_a_pause_makes_no_room_for_calls(site: Listening) -> None:
    set_room(site.reactor, "none")
    site.reactor.pause()
    site.reactor.resume()
    site.connect()
    assert site.made == []


def test_inside_a_loop_it_rests_until_there_is_a_connection(site: Listening) -> None:
    stirred: list[int] = []
    site.reactor.set_on_stir(lambda: stirred.append(site.reactor.connections))
    assert site.reactor.rest()
    site.settle()
    assert stirred == []
    client = site.connect()
    site.connect()
    assert stirred == [1]
    assert not site.reactor.rest()
    client.close()
    site.settle()
    assert not site.reactor.rest()


def test_inside_a_loop_what_the_kernel_refused_ends_the_rest() -> None:
    with Listening() as site:
        stirred: list[int] = []
        site.reactor.set_on_stir(lambda: stirred.append(site.reactor.connections))
        client = socket.socket()
        site.clients.append(client)
        client.connect(site.socket.getsockname())
        assert site.reactor.rest()
        with descriptors(next_descriptor()):
            site.settle()
        assert stirred == [0]
        assert not site.reactor.rest(), "it is to accept again after a while"
        site.errors.clear()


def test_inside_a_loop_a_crowded_process_leaves_when_a_connection_comes(site: Listening) -> None:
    site.reactor.set_on_defer(lambda: None)
    set_room(site.reactor, "none")
    site.connect()
    assert site.made == []
    set_room(site.reactor, "ample")
    site.settle()
    assert len(site.made) == 1


def test_a_listener_the_kernel_refuses_is_tried_again(site: Listening) -> None:
    set_room(site.reactor, "none")
    elsewhere = os.dup(site.socket.fileno())
    os.close(site.socket.fileno())
    try:
        set_room(site.reactor, "ample")
        assert isinstance(site.errors.pop(), OSError)
    finally:
        os.dup2(elsewhere, site.socket.fileno())
        os.close(elsewhere)
    site.connect()
    assert site.made == []
    site.advance(1)
    assert len(site.made) == 1


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_draining_takes_all_that_waits(shared: bool, crowded: bool) -> None:
    with Listening(shared=shared) as site:
        set_room(site.reactor, "none" if crowded else "ample")
        queue(site, 80)
        site.reactor.drain()
        assert len(site.made) == 80


def test_after_a_pause_draining_leaves_what_waits_to_others(site: Listening) -> None:
    queue(site, 1)
    site.reactor.pause()
    site.reactor.drain()
    assert site.made == []


def test_who_drains_cannot_be_told_to_accept_again(site: Listening) -> None:
    client = site.connect()
    site.reactor.drain()
    site.reactor.resume()
    site.connect()
    assert len(site.made) == 1
    client.close()
    site.settle()
    assert len(site.made) == 1


def test_out_of_descriptors_it_says_so_and_goes_on_when_there_are_some() -> None:
    with Listening() as site:
        client = socket.socket()
        site.clients.append(client)
        client.connect(site.socket.getsockname())
        with descriptors(next_descriptor()):
            site.settle()
            said = list(site.errors)
            site.settle()
            assert site.errors == said, "it says so once, and does not spin"
        assert [error.errno for error in said if isinstance(error, OSError)] == [errno.EMFILE]
        assert "cannot accept a connection with 0 open" in str(said[0])
        site.advance(2)
        assert len(site.made) == 1
        site.errors.clear()


def test_out_of_descriptors_a_closing_connection_makes_room_at_once() -> None:
    with Listening() as site:
        first = site.connect()
        second = socket.socket()
        site.clients.append(second)
        second.connect(site.socket.getsockname())
        with descriptors(next_descriptor()):
            site.settle()
            assert len(site.made) == 1
        first.close()
        site.settle()
        assert len(site.made) == 2
        site.errors.clear()


# -- descriptors that come back as others


def test_an_event_for_a_descriptors_former_owner_is_not_its_new_owners(site: Listening) -> None:
    first, second = site.connect(), site.connect()
    called: list[int] = []
    reader, writer = os.pipe()
    taken: list[int] = []

    def replace_the_other(probe: Probe, data: bytes) -> None:
        other = next(each for each in site.made if each is not probe)
        other.end()
        fd = other.view().fd
        os.dup2(reader, fd)
        taken.append(fd)
        site.reactor.watch(fd, lambda: called.append(fd))

    site.made[0].on_read = site.made[1].on_read = replace_the_other
    # Both are ready in one batch; whichever comes first replaces the other, whose event is in the batch still.
    first.sendall(b"1")
    second.sendall(b"2")
    site.settle()
    assert len(taken) == 1
    assert called == []
    os.write(writer, b"x")
    site.turn()
    assert called == taken
    site.close()
    for fd in (reader, writer, *taken):
        os.close(fd)


# -- threads, watches, deferring


def test_any_thread_can_end_the_leaders_wait() -> None:
    reactor = Reactor()
    woken = threading.Event()
    reactor.set_on_wake(woken.set)
    leader = threading.Thread(target=reactor.run)
    leader.start()
    reactor.wake_up()
    assert woken.wait(PATIENCE_S)
    reactor.stop()
    leader.join(PATIENCE_S)
    assert not leader.is_alive()
    reactor.close()


def test_a_connection_deferred_by_another_thread_is_resumed_by_the_leader(site: Listening) -> None:
    site.connect()
    site.connect()
    probe = site.made[0]
    resumed = threading.Event()
    # The leader sleeps without a deadline; only the deferring thread can wake it.
    site.made[1].on_read = lambda *_: resumed.set()
    leader = threading.Thread(target=site.reactor.run)
    leader.start()
    probe.resume_later()
    site.clients[1].sendall(b"after")
    assert resumed.wait(PATIENCE_S)
    site.reactor.stop()
    leader.join(PATIENCE_S)
    assert probe.seen == ["resumed"]


def test_a_watched_descriptor_calls_back_while_it_can_be_read(site: Listening) -> None:
    reader, writer = os.pipe()
    heard: list[bytes] = []
    site.reactor.watch(reader, lambda: heard.append(os.read(reader, 100)))
    site.settle()
    assert heard == []
    os.write(writer, b"word")
    site.settle()
    assert heard == [b"word"]
    site.close()
    os.close(reader)
    os.close(writer)


def test_an_exception_of_one_connection_costs_that_connection_only(site: Listening) -> None:
    bad, good = site.connect(), site.connect()

    def fail(probe: Probe, data: bytes) -> None:
        raise ValueError("of this one's")

    site.made[0].on_read = fail
    bad.sendall(b"x")
    good.sendall(b"y")
    site.settle()
    assert [str(error) for error in site.errors] == ["of this one's"]
    assert site.made[0].view().closed
    assert site.made[1].seen == [b"y"]
    site.errors.clear()


def test_draining_tells_every_connection_and_accepts_no_more(site: Listening) -> None:
    site.connect()
    site.reactor.drain()
    site.connect()
    assert site.reactor.is_draining()
    assert [probe.seen for probe in site.made] == [["drain"]]
    site.made[0].end()
    site.settle()
    assert len(site.made) == 1


def test_a_closed_reactor_is_freed_with_all_it_holds() -> None:
    # Of other tests.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    site = Listening()
    site.connect()
    site.close()
    del site
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


class Adopting(Stepped):
    """A reactor that was given one end of a pair of sockets."""

    def __init__(self, family: socket.AddressFamily = socket.AF_UNIX) -> None:
        super().__init__()
        self.connector = ProbeConnector()
        if family == socket.AF_UNIX:
            self.client, accepted = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.client = socket.create_connection(listener.getsockname(), timeout=PATIENCE_S)
                accepted, _ = listener.accept()
        accepted.setblocking(False)
        # What the peer says before somebody serves it counts.
        self.client.sendall(b"early")
        adopt(self.reactor, accepted.detach(), self.connector)

    def close(self) -> None:
        super().close()
        self.client.close()


def test_a_connection_somebody_else_accepted_is_served() -> None:
    with Adopting() as site:
        site.settle()
        assert [probe.seen for probe in site.connector.made] == [[b"early"]]
        assert connections(site.reactor)[0].peer is None
        assert not site.reactor.is_draining()


def test_an_adopted_connection_knows_its_peer() -> None:
    with Adopting(socket.AF_INET) as site:
        assert connections(site.reactor)[0].peer == site.client.getsockname()


def test_a_reactor_with_an_adopted_connection_ends_with_it() -> None:
    with Adopting() as site:
        emptied: list[bool] = []
        site.reactor.set_on_empty(lambda: emptied.append(True))
        site.settle()
        assert emptied == []
        site.client.close()
        # Returns: nothing else would end it.
        site.reactor.run()
        assert emptied == [True]
        assert site.reactor.is_draining()


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%lo", "fe80::1"),
    ],
)
def test_a_connection_is_served_for_a_peer_that_it_does_not_come_from(host: str, known: str) -> None:
    ours, theirs = socket.socketpair()
    with Stepped() as site, theirs:
        ours.setblocking(False)
        serve_for(site.reactor, ours.detach(), ProbeConnector(), (host, 4242))
        assert [view.peer for view in connections(site.reactor)] == [(known, 4242)]


def test_a_peer_without_an_address_is_served_by_nobody() -> None:
    ours, theirs = socket.socketpair()
    with Stepped() as site, ours, theirs:
        with pytest.raises(ValueError, match="'somewhere' is no address"):
            serve_for(site.reactor, ours.fileno(), ProbeConnector(), ("somewhere", 4242))
        assert site.reactor.connections == 0


def test_a_socket_without_a_peer_is_not_adopted() -> None:
    with Stepped() as site, socket.socket() as lonely:
        with pytest.raises(OSError, match="not connected"):
            adopt(site.reactor, lonely.fileno(), ProbeConnector())
        assert site.reactor.connections == 0
        assert os.fstat(lonely.fileno())
