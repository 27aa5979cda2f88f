"""Listening sockets over the real system: what is bound how, and what an operator reads when it cannot be."""

import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drawbar.config import Config, ListenConfig, OperatorError, ServerConfig, parse_bind
from drawbar.supervisor.listening.listeners import Listeners
from drawbar.supervisor.listening.sockets import Options, open_bind

HAS_IPV6 = socket.has_dualstack_ipv6()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")


ONCE = ListenConfig(bind_tries=1)


def listen(*binds: str, listen: ListenConfig = ONCE, **server: Any) -> closing[Listeners]:
    section = ServerConfig(bind=tuple(parse_bind(bind) for bind in binds), **server)
    return closing(Listeners(Config(server=section, listen=listen)))


def refused(*binds: str, **server: Any) -> str:
    """The one line the operator gets."""
    with pytest.raises(OperatorError) as caught, listen(*binds, **server):
        pass
    return str(caught.value)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of a short name: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="drawbar-") as name:
        yield Path(name)


def connects(address: str | tuple[str, int]) -> bool:
    if isinstance(address, str):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(address) == 0
    try:
        with socket.create_connection(address, 5):
            return True
    except OSError:
        return False


def test_listens_on_tcp() -> None:
    with listen("127.0.0.1:0") as listeners:
        [listener] = listeners.sockets
        assert connects(listener.getsockname())
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not listener.get_inheritable()
        assert not listener.getblocking()
        assert listeners.addresses() == [f"http://127.0.0.1:{listener.getsockname()[1]}"]


def test_accepted_sockets_inherit_nodelay() -> None:
    with listen("127.0.0.1:0") as listeners, socket.create_connection(listeners.sockets[0].getsockname()):
        listeners.sockets[0].setblocking(True)
        accepted, _ = listeners.sockets[0].accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def accepted_by(listeners: Listeners) -> socket.socket:
    """The server's end of a new connection, whose client's end is closed already."""
    [listener] = listeners.sockets
    listener.setblocking(True)
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"x")
        return listener.accept()[0]


def test_accepted_sockets_inherit_buffers() -> None:
    sizes = ListenConfig(receive_buffer=20_000, send_buffer=30_000)
    with listen("127.0.0.1:0", listen=sizes) as listeners, accepted_by(listeners) as accepted:
        # Linux doubles them, for its own bookkeeping (socket(7)).
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 40_000
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 60_000


def test_accepted_sockets_may_gather_small_writes() -> None:
    with (
        listen("127.0.0.1:0", listen=ListenConfig(nodelay=False)) as listeners,
        accepted_by(listeners) as accepted,
    ):
        assert not accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_connection_is_accepted_when_its_first_bytes_are_there() -> None:
    with listen("127.0.0.1:0", listen=ListenConfig(defer_accept=5.0)) as listeners:
        [listener] = listeners.sockets
        with socket.create_connection(listener.getsockname()) as client:
            with pytest.raises(BlockingIOError):
                listener.accept()
            client.sendall(b"GET")
            accepted, _ = listener.accept()
            accepted.close()


@needs_ipv6
def test_every_address_may_be_ipv6_alone() -> None:
    with listen(":0", listen=ListenConfig(ipv6_only=True)) as listeners:
        [listener] = listeners.sockets
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        assert connects(("::1", listener.getsockname()[1]))
        assert not connects(("127.0.0.1", listener.getsockname()[1]))


@needs_ipv6
def test_every_address_is_both_families_in_one_socket() -> None:
    with listen(":0") as listeners:
        [listener] = listeners.sockets
        port = listener.getsockname()[1]
        assert connects(("127.0.0.1", port))
        assert connects(("::1", port))


@needs_ipv6
def test_an_ipv6_address_is_ipv6_alone() -> None:
    with listen("[::1]:0") as listeners:
        port = listeners.sockets[0].getsockname()[1]
        assert connects(("::1", port))
        assert listeners.addresses() == [f"http://[::1]:{port}"]
        with listen(f"127.0.0.1:{port}") as others:
            assert others.addresses() == [f"http://127.0.0.1:{port}"]


def test_every_address_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listen(":0") as listeners:
        assert listeners.addresses() == [f"http://0.0.0.0:{listeners.sockets[0].getsockname()[1]}"]


def test_a_name_with_several_addresses_has_one_port() -> None:
    with listen("localhost:0") as listeners:
        assert len({listener.getsockname()[1] for listener in listeners.sockets}) == 1


def test_listens_on_several_binds(directory: Path) -> None:
    with listen("127.0.0.1:0", f"unix:{directory}/a", "127.0.0.1:0") as listeners:
        assert [re.sub(r"\d+$", "N", address) for address in listeners.addresses()] == [
            "http://127.0.0.1:N",
            f"unix:{directory}/a",
            "http://127.0.0.1:N",
        ]


def test_a_taken_port() -> None:
    with listen("127.0.0.1:0") as listeners:
        port = listeners.sockets[0].getsockname()[1]
        assert refused(f"127.0.0.1:{port}") == (
            f"--bind 127.0.0.1:{port}: the address is in use; stop the other server or choose another port"
        )


def test_a_refusal_releases_what_was_bound_before(directory: Path) -> None:
    with listen("127.0.0.1:0") as listeners:
        port = listeners.sockets[0].getsockname()[1]
        assert "in use" in refused(f"unix:{directory}/a", f"127.0.0.1:{port}")
        assert not (directory / "a").exists()


def test_an_address_of_another_machine() -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    assert "--bind 192.0.2.1:0: this machine does not have the address" in refused("192.0.2.1:0")


def test_an_unknown_host() -> None:
    # .invalid never resolves (RFC 6761).
    assert refused("drawbar.invalid:8000").startswith("--bind drawbar.invalid:8000: the host name is not known")


def test_listens_on_a_unix_socket_and_removes_it(directory: Path) -> None:
    path = directory / "drawbar.sock"
    with listen(f"unix:{path}", unix_mode=0o620, unix_owner=f"{os.getuid()}:{os.getgid()}") as listeners:
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o620
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
        assert connects(str(path))
        assert listeners.addresses() == [f"unix:{path}"]
    assert not path.exists()


def test_the_file_stays_while_another_process_has_the_socket_which_is_not_disturbed(directory: Path) -> None:
    path = directory / "s"
    [opened] = open_bind(parse_bind(f"unix:{path}"), Options(backlog=8), "--bind")
    with opened.socket.dup() as other:
        opened.close()
        assert path.is_socket()
        with pytest.raises(BlockingIOError):
            other.accept()
    opened.close()
    assert not path.exists()


def test_an_abstract_name() -> None:
    name = f"drawbar-test-{os.getpid()}"
    with listen(f"unix:@{name}") as listeners:
        assert listeners.addresses() == [f"unix:@{name}"]
        assert connects(f"\0{name}")


def test_a_stale_socket_file_is_replaced(directory: Path) -> None:
    path = directory / "drawbar.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listen(f"unix:{path}"):
        assert connects(str(path))


def test_a_socket_file_somebody_listens_on_is_left(directory: Path) -> None:
    path = directory / "drawbar.sock"
    with listen(f"unix:{path}"):
        assert refused(f"unix:{path}") == (
            f"--bind unix:{path}: a running server listens on it; "
            "stop the server that listens on it or choose another path"
        )
        assert connects(str(path))


def test_a_file_that_is_no_socket_is_left(directory: Path) -> None:
    path = directory / "notes.txt"
    path.write_text("precious")
    assert refused(f"unix:{path}") == f"--bind unix:{path}: the file exists and is no socket; choose another path"
    assert path.read_text() == "precious"


def test_a_socket_file_a_successor_made_is_left(directory: Path) -> None:
    path = directory / "drawbar.sock"
    with listen(f"unix:{path}"), socket.socket(socket.AF_UNIX) as successor:
        path.unlink()
        (directory / "keeps-the-inode-number-taken").touch()
        successor.bind(str(path))
    assert path.exists()


def test_a_missing_directory(directory: Path) -> None:
    assert "its directory is missing" in refused(f"unix:{directory}/none/drawbar.sock")


def test_an_unknown_owner(directory: Path) -> None:
    line = refused(f"unix:{directory}/a", unix_owner="nobody-of-this-name")
    assert line == (
        f"--unix-owner for unix:{directory}/a: there is no such user or group: 'nobody-of-this-name'; "
        "write user, user:group or :group"
    )


@pytest.mark.skipif(os.getuid() == 0, reason="root is permitted everything")
def test_an_owner_one_may_not_give_files_to(directory: Path) -> None:
    assert "not permitted" in refused(f"unix:{directory}/a", unix_owner="root")
    assert not (directory / "a").exists()


def test_adopts_an_inherited_listener() -> None:
    given = socket.create_server(("127.0.0.1", 0))
    os.set_inheritable(given.fileno(), True)
    with listen(f"fd://{given.fileno()}") as listeners:
        assert listeners.sockets[0].getsockname() == given.getsockname()
        assert not listeners.sockets[0].get_inheritable()
        given.detach()


def test_adopts_a_socket_that_is_bound_but_does_not_listen() -> None:
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    with listen(f"fd://{given.fileno()}") as listeners:
        assert connects(listeners.sockets[0].getsockname())
        given.detach()


def test_a_descriptor_that_is_not_open() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    assert f"--bind fd://{writer}: the descriptor is not open" in refused(f"fd://{writer}")


def test_a_descriptor_that_is_no_socket() -> None:
    with open(os.devnull) as file:
        assert "the descriptor is no socket" in refused(f"fd://{file.fileno()}")
        assert os.fstat(file.fileno())


def test_a_descriptor_of_datagrams() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        assert "the descriptor is no stream socket" in refused(f"fd://{datagrams.fileno()}")
        assert os.fstat(datagrams.fileno())


def test_a_descriptor_of_a_connection() -> None:
    with listen("127.0.0.1:0") as listeners, socket.create_connection(listeners.sockets[0].getsockname()) as connected:
        assert "the socket cannot listen" in refused(f"fd://{connected.fileno()}")
        assert os.fstat(connected.fileno())
