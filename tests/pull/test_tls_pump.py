"""Lines of TLS between a peer and the reactor: what a peer may make of its turns, and when a line ends."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from drawbar.pull import tls_pump
from drawbar.pull.tls_pump import CHATTER_BYTES, Pump, TlsCodec
from tests.support.front import Authority
from tests.support.server import PATIENCE_S


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Vouches for everybody here."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def pump() -> Iterator[Pump]:
    """One that runs."""
    pump = Pump()
    pump.start()
    yield pump
    pump.stop()


def shake_hands(client: TlsCodec, server: TlsCodec) -> None:
    """The handshake of TLS 1.3. What the server says after it is still to be sent."""
    client.shake_hands()
    server.feed(client.output())
    server.shake_hands()
    client.feed(server.output())
    assert client.shake_hands()
    server.feed(client.output())
    assert server.shake_hands()


class Peer:
    """A client whose hands are shaken: `socket` is its end of the wire, `served` what the reactor has."""

    def __init__(self, pump: Pump, authority: Authority) -> None:
        self.codec = TlsCodec(ssl.create_default_context(cafile=str(authority.ca)), "127.0.0.1")
        ours = TlsCodec(authority.server_context(), None)
        shake_hands(self.codec, ours)
        self.socket, outer = socket.socketpair()
        outer.setblocking(False)
        self.served = pump.add(outer, ours, b"", ours.output())
        self.socket.settimeout(PATIENCE_S)
        self.served.settimeout(PATIENCE_S)

    def write(self, data: bytes) -> None:
        """One record, or as many as it takes."""
        self.codec.write(data)
        self.socket.sendall(self.codec.output())

    def close(self) -> None:
        """Both ends."""
        self.socket.close()
        self.served.close()


@pytest.fixture
def peer(pump: Pump, authority: Authority) -> Iterator[Peer]:
    """One client."""
    peer = Peer(pump, authority)
    yield peer
    peer.close()


def test_much_data_passes(peer: Peer) -> None:
    data = bytes(range(256)) * 8_192
    sender = threading.Thread(target=peer.write, args=(data,))
    sender.start()
    received = bytearray()
    while len(received) < len(data):
        received += peer.served.recv(65_536)
    sender.join()
    assert received == data


def test_data_may_come_in_records_of_one_byte(peer: Peer) -> None:
    for _ in range(CHATTER_BYTES // 10):
        peer.write(b"x")
    received = 0
    while received < CHATTER_BYTES // 10:
        received += len(peer.served.recv(65_536))
    peer.write(b"last")
    assert peer.served.recv(100) == b"last"


def test_a_record_may_come_in_pieces(peer: Peer) -> None:
    peer.codec.write(bytes(16_384))
    record = peer.codec.output()
    for at in range(len(record)):
        peer.socket.sendall(record[at : at + 1])
    received = 0
    while received < 16_384:
        received += len(peer.served.recv(65_536))


def test_who_says_much_of_tls_and_nothing_else_is_heard_no_more(pump: Pump, authority: Authority) -> None:
    context = authority.server_context()
    # The only thing of that kind that the standard library can be made to send.
    context.num_tickets = 500
    talker = TlsCodec(context, None)
    ours = TlsCodec(ssl.create_default_context(cafile=str(authority.ca)), "127.0.0.1")
    shake_hands(ours, talker)
    chatter = talker.output()
    assert len(chatter) > 2 * CHATTER_BYTES
    theirs, outer = socket.socketpair()
    outer.setblocking(False)
    served = pump.add(outer, ours, b"")
    served.settimeout(PATIENCE_S)
    with served, theirs:
        sender = threading.Thread(target=_send_until_it_breaks, args=(theirs, chatter))
        sender.start()
        assert served.recv(1) == b""
        sender.join()


def _send_until_it_breaks(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except ConnectionError:
        return


def test_lines_that_were_let_go_end_whatever_their_peers_do(
    pump: Pump, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_pump, "LINGER_S", 0.01)
    peers = [Peer(pump, authority) for _ in range(3)]
    for peer in peers:
        peer.served.close()
    for peer in peers:
        poll = select.poll()
        # All that it sends is its end; POLLHUP, that the other side is closed both ways.
        poll.register(peer.socket, 0)
        assert [event for _, event in poll.poll(PATIENCE_S * 1000)] == [select.POLLHUP]
        peer.close()
    other = Peer(pump, authority)
    other.write(b"question")
    assert other.served.recv(100) == b"question"
    other.close()
