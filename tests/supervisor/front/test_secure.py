"""The way in by TLS: what has shaken hands is served by the reactor, to the last."""

import socket
import ssl
from pathlib import Path

import pytest

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.net.reactor import Reactor
from drawbar.pull.call import Call, CallHandler
from drawbar.supervisor.front.secure import SecureDoor, exposed, plain_and_secure
from tests.support.front import Authority
from tests.support.server import PATIENCE_S


class Shaking:
    """A client that takes its handshake step by step."""

    def __init__(self, address: tuple[str, int], authority: Authority) -> None:
        self.socket = socket.create_connection(address, PATIENCE_S)
        context = ssl.create_default_context(cafile=str(authority.ca))
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._into, self._out, server_hostname="127.0.0.1")

    def begin(self) -> None:
        """Says the first thing, and waits for the answer: somebody shakes hands with it by then."""
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self.socket.sendall(self._out.read())
        self._into.write(self.socket.recv(65_536))

    def ask(self) -> None:
        """Shakes hands to the end, and asks."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._into.write(self.socket.recv(65_536))
        self._tls.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.socket.sendall(self._out.read())

    def answer(self) -> bytes:
        """All that came until the end, which is TLS's own or the socket's."""
        while data := self.socket.recv(65_536):
            self._into.write(data)
        self.socket.close()
        said = b""
        while True:
            try:
                part = self._tls.read(65_536)
            except (ssl.SSLZeroReturnError, ssl.SSLWantReadError):
                return said
            if not part:
                return said
            said += part


def peer_of(call: Call) -> None:
    """Answers with whose the connection is."""
    remote = call.remote
    call.respond(200, [], b"%s:%d" % (remote[0].encode(), remote[1]) if remote else b"nobody's")


@pytest.mark.parametrize(("connections", "served"), [(100, True), (0, False)])
def test_who_shakes_hands_when_it_drains_is_served_if_there_is_room(
    tmp_path: Path, connections: int, served: bool
) -> None:
    authority = Authority(tmp_path)
    reactor = Reactor()
    handler = CallHandler(peer_of, lambda call, status, why: call.respond(status, [], why.encode()))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        door = SecureDoor(
            [listener],
            authority.server_context(),
            make_connector=lambda _: Http1Connector(Policy(), handler, "https", ("127.0.0.1", 1)),
            most=100,
            is_full=lambda: reactor.connections >= connections,
            tell=lambda line: None,
        )
        door.open(reactor)
        client = Shaking(listener.getsockname(), authority)
        client.begin()
        reactor.drain()
        client.ask()
        mine = client.socket.getsockname()
        reactor.run()
        door.finish()
        reactor.close()
        door.close()
    said = client.answer()
    assert (b"Connection: close\r\n" in said) is served
    assert said.endswith(b"%s:%d" % (mine[0].encode(), mine[1]) if served else b"")
    assert bool(said) is served


def test_unix_sockets_stay_plain(tmp_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        assert plain_and_secure([tcp, unix], None) == ([tcp, unix], [])
        assert plain_and_secure([tcp, unix], ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) == ([unix], [tcp])


@pytest.mark.parametrize(("host", "is_exposed"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_what_others_reach_is_exposed(host: str, is_exposed: bool) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind((host, 0))
        assert exposed([tcp, unix]) == ([f"{host}:{tcp.getsockname()[1]}"] if is_exposed else [])
