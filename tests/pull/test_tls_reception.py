"""Who comes by TLS: hands are shaken on a thread of its own, over real sockets, and nobody waits for who does not."""

import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from drawbar.pull.sparing import MOST_LINES
from drawbar.pull.tls_pump import Pump
from drawbar.pull.tls_reception import CROWD, HANDSHAKE_BYTES, PARTING_BYTES, Received, Reception
from tests.support.descriptors import descriptors, next_descriptor
from tests.support.front import Authority
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S


class Hall:
    """A reception, and what it lets in."""

    def __init__(self, context: ssl.SSLContext, **options: float) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address: tuple[str, int] = self.listener.getsockname()
        self.lines: queue.Queue[str] = queue.Queue()
        self._arrived: queue.Queue[None] = queue.Queue()
        self.became_quiet = threading.Event()
        self.pump = Pump()
        self.reception = Reception(
            [self.listener],
            context,
            self.pump,
            **{"most": 10_000, **options},  # type: ignore[arg-type]
            on_arrived=lambda: self._arrived.put(None),
            tell=self.lines.put,
            on_quiet=self.became_quiet.set,
        )

    def __enter__(self) -> Self:
        self.pump.start()
        self.reception.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reception.close()
        self.pump.stop()
        self.listener.close()

    def connect(self) -> socket.socket:
        """Somebody who says nothing yet."""
        return socket.create_connection(self.address, PATIENCE_S)

    def wait_until_arrived(self) -> None:
        """Until somebody more is there to be fetched."""
        self._arrived.get(timeout=PATIENCE_S)

    def fetch(self) -> Received:
        """The next who was let in."""
        self.wait_until_arrived()
        received = self.reception.fetch()
        assert received is not None
        received.socket.settimeout(PATIENCE_S)
        return received

    def wait_for_line(self) -> str:
        """What it told."""
        return self.lines.get(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Vouches for everybody here."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def hall(authority: Authority) -> Iterator[Hall]:
    """A reception as it usually is."""
    with Hall(authority.server_context()) as hall:
        yield hall


def secured(sock: socket.socket, authority: Authority, shown: tuple[Path, Path] | None = None) -> ssl.SSLSocket:
    """Shakes hands."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    if shown is not None:
        context.load_cert_chain(*shown)
    return context.wrap_socket(sock, server_hostname="127.0.0.1")


def said_by(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def test_bytes_pass_both_ways_and_so_do_ends(hall: Hall, authority: Authority) -> None:
    with secured(hall.connect(), authority) as client:
        received = hall.fetch()
        assert received.peer == client.getsockname()
        assert received.listener is hall.listener
        client.sendall(b"question")
        assert received.socket.recv(100) == b"question"
        received.socket.sendall(bytes(1_000_000))
        received.socket.shutdown(socket.SHUT_WR)
        assert len(said_by(client)) == 1_000_000
        received.socket.close()
    assert hall.lines.empty()


def test_what_comes_with_the_handshakes_end_is_not_lost(hall: Hall, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca))
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out, server_hostname="127.0.0.1")
    with hall.connect() as sock:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(out.read())
                into.write(sock.recv(65_536))
        client.write(b"question")
        sock.sendall(out.read())
        received = hall.fetch()
        assert received.socket.recv(100) == b"question"
        received.socket.close()


@pytest.mark.parametrize("method", [b"GET", b"POST", b"BREW"])
def test_who_speaks_plain_http_is_told_in_http(hall: Hall, method: bytes) -> None:
    client = RawClient(hall.address)
    client.send(method + b" /api/v2/status HTTP/1.1\r\nHost: a\r\n\r\n")
    response = client.response(method.decode())
    assert (response.status, response.header("content-type")) == (400, "application/problem+json")
    assert b"this port speaks TLS" in response.body
    assert client.read_to_end() == b""
    client.close()
    assert hall.wait_for_line() == "127.0.0.1 was refused: it speaks no TLS"


def test_what_only_looks_like_tls_is_refused(hall: Hall) -> None:
    with hall.connect() as client:
        client.sendall(b"\x16\x03\x01\x00\x05hello" + bytes(40_000))
        said_by(client)
        assert hall.wait_for_line().startswith("127.0.0.1 was refused: TLS fails: ")


def test_a_version_that_must_not_be_used_is_refused(authority: Authority) -> None:
    served = authority.server_context()
    served.minimum_version = ssl.TLSVersion.TLSv1_3
    with Hall(served) as hall:
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with hall.connect() as sock, pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
            context.wrap_socket(sock, server_hostname="127.0.0.1")
        assert hall.wait_for_line() == "127.0.0.1 was refused: TLS fails: unsupported protocol"


def test_who_shows_no_certificate_where_one_is_asked_for_is_refused(authority: Authority) -> None:
    with Hall(authority.server_context(wants_client=True)) as hall:
        with (
            secured(hall.connect(), authority) as client,
            pytest.raises(ssl.SSLError, match=r"(?i)certificate required"),
        ):
            client.recv(1)
        assert hall.wait_for_line().endswith("TLS fails: peer did not return a certificate")
        with secured(hall.connect(), authority, authority.issue("worker", "DNS:worker")) as client:
            received = hall.fetch()
            client.sendall(b"question")
            assert received.socket.recv(100) == b"question"
            received.socket.close()


def test_a_handshake_that_is_not_complete_in_time_ends(authority: Authority) -> None:
    with Hall(authority.server_context(), handshake_s=0.01) as hall, hall.connect() as client:
        client.sendall(b"\x16")
        assert said_by(client) == b""
        assert "its handshake was not complete within 0.01 s" in hall.wait_for_line()


def test_the_one_that_takes_longest_gives_way(authority: Authority) -> None:
    with Hall(authority.server_context(), most_guests=3) as hall:
        silent = [hall.connect() for _ in range(4)]
        assert said_by(silent[0]) == b""
        with secured(hall.connect(), authority):
            # It had a place at once; another one gave way.
            hall.fetch().socket.close()
            assert said_by(silent[1]) == b""
        for client in silent:
            client.close()


def test_who_finds_no_room_waits_for_it(authority: Authority) -> None:
    with Hall(authority.server_context(), most=1) as hall:
        first = secured(hall.connect(), authority)
        place = hall.fetch()
        second = hall.connect()
        second.sendall(b"GET / HTTP/1.1\r\n\r\n")
        second.settimeout(0.05)
        with pytest.raises(TimeoutError):
            second.recv(1)
        second.settimeout(PATIENCE_S)
        place.socket.close()
        first.close()
        assert said_by(second).startswith(b"HTTP/1.1 400 ")
        second.close()


def test_without_descriptors_it_tries_again_after_a_while(hall: Hall, authority: Authority) -> None:
    with descriptors(next_descriptor() + 1):
        client = hall.connect()
        assert hall.wait_for_line() == "cannot accept a connection: Too many open files"
    with secured(client, authority):
        hall.fetch().socket.close()


def test_one_that_is_stopped_lets_nobody_in(authority: Authority) -> None:
    with Hall(authority.server_context()) as hall:
        with secured(hall.connect(), authority) as client:
            hall.wait_until_arrived()
            hall.reception.close()
            # Nobody has fetched it.
            assert client.recv(1) == b""
        with hall.connect() as late:
            hall.listener.settimeout(PATIENCE_S)
            taken, address = hall.listener.accept()
            taken.close()
            assert address == late.getsockname()


def test_who_shakes_hands_when_it_is_stopped_may_finish(authority: Authority) -> None:
    with Hall(authority.server_context(), most_guests=2) as hall:
        crowd = [hall.connect() for _ in range(3)]
        # The first has given way: the others were accepted.
        assert said_by(crowd[0]) == b""
        hall.reception.stop()
        with secured(crowd[1], authority):
            hall.fetch().socket.close()
        assert said_by(crowd[2]) == b""
        hall.reception.wait()
        for client in crowd:
            client.close()


def test_a_hello_without_end_is_refused(hall: Hall) -> None:
    with hall.connect() as client:
        length = 2 * HANDSHAKE_BYTES - 4
        hello = b"\x01" + length.to_bytes(3, "big") + b"\x03\x03" + bytes(length - 2)
        pieces = [hello[at : at + 16_384] for at in range(0, len(hello), 16_384)]
        for piece in pieces[: HANDSHAKE_BYTES // 16_384 + 1]:
            client.sendall(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece)
        assert hall.wait_for_line() == f"127.0.0.1 was refused: its handshake has more than {HANDSHAKE_BYTES} bytes"
        assert said_by(client) == b""


def test_one_that_was_refused_is_not_listened_to_for_ever(hall: Hall) -> None:
    with hall.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert said_by(client).startswith(b"HTTP/1.1 400 ")
        # Within the patience for one that is slow to close: closed with bytes unread, it is a reset.
        with pytest.raises(ConnectionError):
            client.sendall(bytes(100 * PARTING_BYTES))


def test_a_refused_one_gives_way_before_one_that_shakes_hands(authority: Authority) -> None:
    with Hall(authority.server_context(), most_guests=2) as hall:
        first, refused = hall.connect(), hall.connect()
        refused.sendall(b"GET / HTTP/1.1\r\n\r\n")
        hall.wait_for_line()
        with hall.connect() as third:
            third.sendall(b"BREW / HTTP/1.1\r\n\r\n")
            assert said_by(third).startswith(b"HTTP/1.1 400 ")
        with secured(first, authority):
            hall.fetch().socket.close()
        refused.close()


def test_the_log_of_a_flood_is_short(hall: Hall) -> None:
    for _ in range(3 * MOST_LINES):
        with hall.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert said_by(client).startswith(b"HTTP/1.1 400 ")
    hall.reception.close()
    lines = [hall.wait_for_line() for _ in range(MOST_LINES + 1)]
    assert lines[:-1] == ["127.0.0.1 was refused: it speaks no TLS"] * MOST_LINES
    assert lines[-1] == f"{2 * MOST_LINES} more lines of this kind within 10 s were not written"
    assert hall.lines.empty()


def test_when_a_crowd_has_gone_somebody_is_told(hall: Hall) -> None:
    hall.connect().close()
    crowd = [hall.connect() for _ in range(CROWD + 1)]
    # They were accepted in their order.
    crowd[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert said_by(crowd[-1]).startswith(b"HTTP/1.1 400 ")
    assert not hall.became_quiet.is_set()
    for client in crowd:
        client.close()
    assert hall.became_quiet.wait(PATIENCE_S)
