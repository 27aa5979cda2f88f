"""All sockets of a server: whose they are, what an update keeps, and what a successor gets."""

import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from drawbar.config import Config, ListenConfig, OperatorError, ServerConfig, parse_bind
from drawbar.config.api import ApiConfig
from drawbar.supervisor.listening.listeners import QUIET_S, Handover, Listeners, Passed, Place


def config(*binds: str, backlog: int = 64, unix_mode: int | None = None, **listen: object) -> Config:
    """A configuration that does not wait for addresses."""
    server = ServerConfig(bind=tuple(parse_bind(bind) for bind in binds), backlog=backlog, unix_mode=unix_mode)
    return Config(server=server, listen=ListenConfig(**{"bind_tries": 1, **listen}))  # type: ignore[arg-type]


def opened(configuration: Config, slots: Iterable[int] = (1,), **options: object) -> closing[Listeners]:
    return closing(Listeners(configuration, slots=slots, **options))  # type: ignore[arg-type]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of a short name: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="drawbar-") as name:
        yield Path(name)


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return port_of(found)


def names(sockets: Iterable[socket.socket]) -> list[object]:
    return [listener.getsockname() for listener in sockets]


def connect(port: int, times: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), 5) for _ in range(times)]


def taken(listener: socket.socket) -> int:
    """Connections in its queue, which is empty then."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


# Whose they are.


def test_shared_sockets_are_the_same_for_every_slot() -> None:
    with opened(config("127.0.0.1:0", "127.0.0.1:0"), (1, 2)) as listeners:
        assert listeners.for_slot(1) == listeners.for_slot(2) == listeners.sockets
        assert len(listeners.sockets) == 2
        assert listeners.not_for_slot(1) == []


def test_reuseport_gives_each_slot_a_socket_of_its_own() -> None:
    with opened(config("127.0.0.1:0", reuseport=True), (1, 2)) as listeners:
        [first], [second] = listeners.for_slot(1), listeners.for_slot(2)
        assert first is not second
        assert port_of(first) == port_of(second)
        assert listeners.addresses() == [f"http://127.0.0.1:{port_of(first)}"]
        assert listeners.not_for_slot(1) == [second.fileno()]


def test_reuseport_spreads_connections_over_the_slots() -> None:
    with opened(config("127.0.0.1:0", reuseport=True), (1, 2)) as listeners:
        clients = connect(port_of(listeners.sockets[0]), 40)
        spread = [taken(listeners.for_slot(slot)[0]) for slot in (1, 2)]
        assert sum(spread) == 40
        assert min(spread) > 0
        for client in clients:
            client.close()


def test_reuseport_leaves_unix_sockets_shared(directory: Path) -> None:
    with opened(config(f"unix:{directory}/a", reuseport=True), (1, 2)) as listeners:
        assert listeners.for_slot(1) == listeners.for_slot(2)


def test_reuseport_does_not_share_a_port_with_a_stranger() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as stranger:
        bind = f"127.0.0.1:{port_of(stranger)}"
        with pytest.raises(OperatorError, match="in use"), opened(config(bind, reuseport=True), (1, 2)):
            pass


def test_a_worker_has_an_address_of_its_own(directory: Path) -> None:
    with opened(config("127.0.0.1:0", worker_bind=(f"unix:{directory}/app.{{n}}",)), (1, 2)) as listeners:
        shared = listeners.for_slot(1)[0]
        assert names(listeners.for_slot(1)) == [shared.getsockname(), f"{directory}/app.1"]
        assert names(listeners.for_slot(2)) == [shared.getsockname(), f"{directory}/app.2"]


def test_a_new_slot_gets_its_sockets_when_it_is_asked_for(directory: Path) -> None:
    with opened(config(f"unix:{directory}/a", worker_bind=(f"unix:{directory}/app.{{n}}",))) as listeners:
        assert not (directory / "app.2").exists()
        assert names(listeners.for_slot(2)) == [f"{directory}/a", f"{directory}/app.2"]
        assert listeners.for_slot(2) == listeners.for_slot(2)


def test_a_new_slot_whose_address_is_taken(directory: Path) -> None:
    (directory / "app.2").touch()
    with opened(config(f"unix:{directory}/a", worker_bind=(f"unix:{directory}/app.{{n}}",))) as listeners:
        with pytest.raises(OperatorError, match=r"--worker-bind unix:.*/app\.2: the file exists and is no socket"):
            listeners.for_slot(2)
        assert names(listeners.for_slot(1)) == [f"{directory}/a", f"{directory}/app.1"]


def test_an_address_that_is_none_for_a_high_number() -> None:
    with (
        opened(config("127.0.0.1:0", worker_bind=("127.0.0.1:6553{n}",)), ()) as listeners,
        pytest.raises(OperatorError, match=r"--worker-bind for worker 10: '127\.0\.0\.1:655310' has no valid port"),
    ):
        listeners.for_slot(10)


# Attempts.


def test_an_address_in_use_is_tried_again() -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:

        def leave(seconds: float) -> None:
            assert seconds == 0.25
            if len(told) == 2:
                other.close()

        bind = f"127.0.0.1:{port_of(other)}"
        with opened(config(bind, bind_tries=5, bind_delay=0.25), tell=told.append, sleep=leave) as listeners:
            assert listeners.addresses() == [f"http://{bind}"]
        assert told == [
            f"--bind {bind}: the address is in use; trying again in 0.25 s (attempt 1 of 5)",
            f"--bind {bind}: the address is in use; trying again in 0.25 s (attempt 2 of 5)",
        ]


def test_attempts_come_to_an_end() -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{port_of(other)}"
        with pytest.raises(OperatorError, match="in use"):
            Listeners(config(bind, bind_tries=3), tell=told.append, sleep=lambda seconds: None)
        assert len(told) == 2


def test_attempts_without_end_are_not_counted_down() -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{port_of(other)}"

        def leave(seconds: float) -> None:
            if len(told) == 100:
                other.close()

        with opened(config(bind, bind_tries=0), tell=told.append, sleep=leave):
            assert told[-1].endswith("(attempt 100)")


def test_what_waiting_cannot_mend_is_not_tried_again() -> None:
    told: list[str] = []
    with pytest.raises(OperatorError, match="does not have the address"):
        Listeners(config("192.0.2.1:0", bind_tries=5), tell=told.append)
    assert told == []


# Updates.


def test_an_update_keeps_equal_binds(directory: Path) -> None:
    before = config("127.0.0.1:0", f"unix:{directory}/a")
    with opened(before) as listeners:
        kept = listeners.sockets
        listeners.update(before, (1,))
        assert listeners.sockets == kept


def test_an_update_opens_new_binds_and_leaves_old_ones_open_for_now(directory: Path) -> None:
    with opened(config(f"unix:{directory}/a", f"unix:{directory}/b")) as listeners:
        listeners.update(config(f"unix:{directory}/b", f"unix:{directory}/c"), (1,))
        assert names(listeners.for_slot(1)) == [f"{directory}/b", f"{directory}/c"]
        assert len(listeners.not_for_slot(1)) == 1
        assert (directory / "a").exists()
        listeners.drop_left()
        assert not (directory / "a").exists()
        assert names(listeners.sockets) == [f"{directory}/b", f"{directory}/c"]


def test_an_update_takes_back_what_an_earlier_one_left(directory: Path) -> None:
    before, after = config(f"unix:{directory}/a"), config(f"unix:{directory}/b")
    with opened(before) as listeners:
        kept = listeners.sockets
        listeners.update(after, (1,))
        listeners.update(before, (1,))
        assert listeners.for_slot(1) == kept
        listeners.drop_left()
        assert listeners.sockets == kept


def test_an_update_that_fails_changes_nothing(directory: Path) -> None:
    (directory / "taken").touch()
    with opened(config(f"unix:{directory}/a", unix_mode=0o600)) as listeners:
        kept = listeners.sockets
        wrong = config(f"unix:{directory}/a", f"unix:{directory}/b", f"unix:{directory}/taken", unix_mode=0o666)
        with pytest.raises(OperatorError, match="no socket"):
            listeners.update(wrong, (1,))
        assert listeners.sockets == kept
        assert not (directory / "b").exists()
        assert (directory / "a").stat().st_mode & 0o777 == 0o600


def test_an_update_gives_kept_sockets_their_new_options(directory: Path) -> None:
    with opened(config("127.0.0.1:0", f"unix:{directory}/a")) as listeners:
        listeners.update(config("127.0.0.1:0", f"unix:{directory}/a", unix_mode=0o620, nodelay=False), (1,))
        assert not listeners.sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert (directory / "a").stat().st_mode & 0o777 == 0o620


def test_the_socket_workers_pull_from_is_its_owners_alone_unless_said_otherwise(directory: Path) -> None:
    bind = (parse_bind(f"unix:{directory}/api"),)
    site = config(f"unix:{directory}/a", unix_mode=0o666)

    def modes(configuration: Config) -> list[int]:
        listeners.update(configuration, (1,))
        return [(directory / name).stat().st_mode & 0o777 for name in ("a", "api")]

    unsaid = msgspec.structs.replace(site, api=ApiConfig(bind=bind))
    said = msgspec.structs.replace(site, api=ApiConfig(bind=bind, unix_mode=0o660))
    with opened(unsaid) as listeners:
        assert modes(unsaid) == [0o666, 0o600]
        assert modes(said) == [0o666, 0o660]
        assert modes(unsaid) == [0o666, 0o600]


def test_an_update_to_an_address_that_overlaps_an_old_one() -> None:
    port = free_port()
    with opened(config(f"127.0.0.1:{port}")) as listeners:
        listeners.update(config(f"0.0.0.0:{port}"), (1,))
        listeners.drop_left()
        [listener] = listeners.sockets
        for client in connect(port, 1):
            client.close()
        assert taken(listener) == 1


@pytest.mark.parametrize("setting", ["reuseport", "ipv6_only"])
def test_an_update_cannot_change_what_a_socket_is(setting: str) -> None:
    bind = f":{free_port()}"
    with opened(config(bind)) as listeners:
        kept = listeners.sockets
        with pytest.raises(OperatorError, match=rf"listen\.{setting}: {bind} cannot change to it while it serves"):
            listeners.update(config(bind, **{setting: True}), (1,))
        assert listeners.sockets == kept


def test_an_update_changes_the_addresses_of_workers(directory: Path) -> None:
    before = config(f"unix:{directory}/a", worker_bind=(f"unix:{directory}/x{{n}}",))
    with opened(before, (1, 2)) as listeners:
        listeners.update(config(f"unix:{directory}/a", worker_bind=(f"unix:{directory}/y{{n}}",)), (1, 2))
        assert names(listeners.for_slot(2)) == [f"{directory}/a", f"{directory}/y2"]
        listeners.drop_left()
        assert sorted(os.listdir(directory)) == ["a", "y1", "y2"]


# Slots that go.


def test_new_connections_are_led_past_a_slot_that_goes() -> None:
    with opened(config("127.0.0.1:0", reuseport=True), (1, 2, 3)) as listeners:
        [going] = listeners.for_slot(3)
        assert listeners.retire_slot(3) == QUIET_S
        clients = connect(port_of(going), 30)
        assert taken(going) == 0
        spread = [taken(listeners.for_slot(slot)[0]) for slot in (1, 2)]
        assert sum(spread) == 30
        assert min(spread) > 0
        listeners.close_slot(3)
        assert going not in listeners.sockets
        clients += connect(port_of(listeners.sockets[0]), 30)
        assert sum(taken(listeners.for_slot(slot)[0]) for slot in (1, 2)) == 30
        for client in clients:
            client.close()


def test_a_slot_that_comes_back_before_it_has_gone_keeps_its_socket() -> None:
    with opened(config("127.0.0.1:0", reuseport=True), (1, 2)) as listeners:
        [kept] = listeners.for_slot(2)
        listeners.retire_slot(2)
        assert listeners.for_slot(2) == [kept]
        listeners.close_slot(2)
        clients = connect(port_of(kept), 40)
        assert taken(kept) > 0
        for client in clients:
            client.close()


def test_a_slot_whose_worker_stays_after_all_gets_connections_again() -> None:
    with opened(config("127.0.0.1:0", reuseport=True), (1, 2)) as listeners:
        sockets = [listeners.for_slot(slot)[0] for slot in (1, 2)]
        listeners.retire_slot(2)
        listeners.keep_slots((1, 2))
        clients = connect(port_of(sockets[0]), 40)
        assert min(taken(listener) for listener in sockets) > 0
        listeners.close_slot(2)
        assert sockets[1] in listeners.sockets
        for client in clients:
            client.close()


def test_a_slot_without_sockets_of_its_own_goes_at_once() -> None:
    with opened(config("127.0.0.1:0"), (1, 2)) as listeners:
        kept = listeners.sockets
        assert listeners.retire_slot(2) == 0.0
        listeners.close_slot(2)
        assert listeners.sockets == kept


def test_the_address_of_a_worker_goes_with_its_slot(directory: Path) -> None:
    with opened(config(f"unix:{directory}/a", worker_bind=(f"unix:{directory}/x{{n}}",)), (1, 2)) as listeners:
        listeners.retire_slot(2)
        listeners.close_slot(2)
        assert sorted(os.listdir(directory)) == ["a", "x1"]


def test_an_update_to_fewer_slots_loses_no_queue() -> None:
    spread = config("127.0.0.1:0", reuseport=True)
    with opened(spread, (1, 2)) as listeners:
        [going] = listeners.for_slot(2)
        listeners.update(spread, (1,))
        listeners.drop_left()
        assert going in listeners.sockets
        listeners.retire_slot(2)
        listeners.close_slot(2)
        assert going not in listeners.sockets


# To another master.


def passed_on(listeners: Listeners) -> Handover:
    """As a successor gets it: read from text, with descriptors of its own."""
    handover = Handover.from_text(listeners.handover().to_text())
    copies = [Passed(one.place, os.dup(one.fd), one.path, one.identity) for one in handover.sockets]
    return Handover(handover.reuseport, handover.ipv6_only, tuple(copies))


def test_a_successor_gets_the_same_sockets(directory: Path) -> None:
    given = config("127.0.0.1:0", f"unix:{directory}/a", worker_bind=(f"unix:{directory}/x{{n}}",))
    with opened(given, (1, 2)) as old, opened(given, (1, 2), inherited=passed_on(old)) as new:
        assert [names(new.for_slot(slot)) for slot in (1, 2)] == [names(old.for_slot(slot)) for slot in (1, 2)]
        assert not any(listener.get_inheritable() or listener.getblocking() for listener in new.sockets)
        assert old.handover().descriptors() == tuple(listener.fileno() for listener in old.sockets)


def test_the_last_master_removes_the_files(directory: Path) -> None:
    given = config(f"unix:{directory}/a")
    old = Listeners(given)
    new = Listeners(given, inherited=passed_on(old))
    old.close()
    assert (directory / "a").exists()
    new.close()
    assert not (directory / "a").exists()


def test_a_successor_that_fails_leaves_everything_as_it_was(directory: Path) -> None:
    (directory / "taken").touch()
    with opened(config(f"unix:{directory}/a")) as old:
        with pytest.raises(OperatorError, match="no socket"):
            Listeners(config(f"unix:{directory}/a", f"unix:{directory}/taken"), inherited=passed_on(old))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{directory}/a")


def test_a_successor_without_a_bind_leaves_it_to_its_predecessor(directory: Path) -> None:
    with opened(config(f"unix:{directory}/a", f"unix:{directory}/b")) as old:
        with opened(config(f"unix:{directory}/b"), inherited=passed_on(old)) as new:
            assert names(new.sockets) == [f"{directory}/b"]
            assert (directory / "a").exists()
        assert (directory / "b").exists()
    assert os.listdir(directory) == []


def test_a_successor_with_fewer_slots_leads_connections_to_those_it_has() -> None:
    spread = config("127.0.0.1:0", reuseport=True)
    with opened(spread, (1, 2)) as old, opened(spread, (1,), inherited=passed_on(old)) as new:
        clients = connect(port_of(new.sockets[0]), 20)
        assert taken(new.for_slot(1)[0]) == 20
        for client in clients:
            client.close()


def test_a_descriptor_that_was_not_passed_on() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    wrong = Handover(False, False, (Passed(Place(0, "127.0.0.1:0", 0), writer),))
    with pytest.raises(OperatorError, match=r"passed on for .*, is no open socket"):
        Listeners(config("127.0.0.1:0"), inherited=wrong)


def test_text_that_no_master_wrote() -> None:
    with pytest.raises(OperatorError, match="the listeners passed on cannot be read"):
        Handover.from_text("3,4")
